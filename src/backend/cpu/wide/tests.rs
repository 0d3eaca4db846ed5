//! The encodings, against an independent decoder; the order of steps.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::encode::{Ask, Assembler, General, Memory, Operand, Vector};
use super::instruction::{ALL, Immediate, Opcode};
use super::step::{Home, Place, Step, Steps, Value};

/// Opcodes whose register in ModRM.reg is what is stored.
const STORES: [&str; 3] = ["vmovntps", "vmovq", "vmovd"];

fn decode(bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE).decode()
}

fn one(opcode: &Opcode, register: u8, middle: Option<Vector>, last: Operand, immediate: Immediate) -> Instruction {
    let mut asm = Assembler::new(false);
    asm.vector(opcode, Vector(register), middle, last, immediate);
    let length = asm.len();
    let instruction = decode(&asm.finish().unwrap().bytes);
    assert_eq!(instruction.len(), length, "{}: {instruction}", opcode.name);
    instruction
}

/// The number of a vector register.
fn number(register: Register) -> usize {
    register.number()
}

/// What an opcode takes besides its first and last operand.
fn shape(opcode: &Opcode) -> (bool, Immediate) {
    let byte = Immediate::Byte(1);
    match opcode.name {
        "vblendvps" | "vblendvpd" => (true, Immediate::Register(9)),
        "vroundps" | "vroundpd" | "vpermq" | "vpermilps" | "vpermilpd" | "vgetmantps" => (false, byte),
        "vcmpps" | "vcmppd" | "vblendps" | "vperm2f128" | "vshufps" | "vinsertf128" => (true, byte),
        "vsqrtps" | "vsqrtpd" | "vmovaps" | "vmovups" | "vmovntps" | "vmovq" | "vmovd" | "vbroadcastss"
        | "vbroadcastsd" | "vpabsd" | "vpmovsxdq" | "vpmovzxdq" | "vpmovzxbd" | "vpmovzxbq" | "vcvtps2pd"
        | "vcvtpd2ps" | "vptest" | "vcvtdq2ps" | "vcvtdq2pd" | "vrsqrt14ps" | "vgetexpps" | "vpmovsxbd"
        | "vcvttps2dq" | "vcvttpd2dq" | "vcvttps2udq" | "vcvttpd2udq" | "vcvttpd2qq" | "vcvttpd2uqq" | "vcvtudq2ps"
        | "vcvtqq2ps" | "vcvtuqq2ps" => (false, Immediate::None),
        _ => (true, Immediate::None),
    }
}

#[test]
fn every_opcode_decodes_as_its_name() {
    for opcode in ALL {
        let (middle, immediate) = shape(opcode);
        let middle = middle.then_some(Vector(13));
        for (base, index) in [(0, 1), (4, 9), (5, 8), (12, 5), (13, 15)] {
            for (scale, offset) in [(0, 0), (8, 0), (1, -128), (4, 127), (2, 128), (8, -4096)] {
                let memory = Memory::At { base: General(base), index: General(index), scale, offset };
                for register in [3, 12] {
                    let got = one(opcode, register, middle, Operand::Memory(memory), immediate);
                    let name = format!("{:?}", got.mnemonic()).to_lowercase();
                    assert_eq!(name, opcode.name, "{got}");
                    let stored = opcode.code == 0x11
                        || STORES.contains(&opcode.name)
                            && !matches!((opcode.prefix, opcode.code), (2, 0x7e) | (1, 0x6e))
                        || matches!(opcode.code, 0x2e | 0x2f) && opcode.name.contains("mask");
                    let vector = if stored { got.op_register(got.op_count() - 1) } else { got.op0_register() };
                    assert_eq!(number(vector), usize::from(register), "{got}");
                    assert_eq!(got.memory_base().number(), usize::from(base), "{got}");
                    assert_eq!(got.memory_displacement64() as i64, i64::from(offset), "{got}");
                    if scale > 0 {
                        assert_eq!(got.memory_index().number(), usize::from(index), "{got}");
                        assert_eq!(got.memory_index_scale(), u32::from(scale), "{got}");
                    }
                    if middle.is_some() {
                        assert_eq!(number(got.op1_register()), 13, "{got}");
                    }
                }
            }
        }
    }
}

#[test]
fn registers_of_all_numbers_are_encoded() {
    for opcode in ALL.iter().filter(|opcode| !opcode.name.starts_with("vmaskmov") && opcode.name != "vmovntps") {
        if matches!(opcode.name, "vmovq" | "vmovd" | "vmovups") {
            continue;
        }
        let (middle, immediate) = shape(opcode);
        for (register, other, last) in [(0, 15, 7), (8, 1, 9), (15, 8, 0)] {
            let middle = middle.then_some(Vector(other));
            let got = one(opcode, register, middle, Operand::Register(Vector(last)), immediate);
            let at = if middle.is_some() { 2 } else { 1 };
            assert_eq!(number(got.op0_register()), usize::from(register), "{got}");
            assert_eq!(got.op_kind(at), OpKind::Register, "{got}");
            assert_eq!(number(got.op_register(at)), usize::from(last), "{got}");
        }
    }
}

#[test]
fn signs_are_tested_in_all_registers() {
    for vector in 0..16 {
        let mut asm = Assembler::new(false);
        asm.test_signs(Vector(vector), General(1));
        let (length, bytes) = (asm.len(), asm.finish().unwrap().bytes);
        let signs = decode(&bytes);
        assert_eq!((signs.mnemonic(), signs.op0_register()), (Mnemonic::Vmovmskpd, Register::ECX));
        assert_eq!(signs.op1_register(), Register::YMM0 + u32::from(vector));
        let test = decode(&bytes[signs.len()..]);
        assert_eq!(
            (test.mnemonic(), test.op0_register(), test.op1_register()),
            (Mnemonic::Test, Register::RCX, Register::RCX)
        );
        assert_eq!(signs.len() + test.len(), length);
    }
}

#[test]
fn lines_are_asked_for_where_they_are() {
    let asks = [Ask::Soon, Ask::Later, Ask::Write];
    for (ask, mnemonic) in asks.into_iter().zip([Mnemonic::Prefetcht0, Mnemonic::Prefetcht1, Mnemonic::Prefetchw]) {
        let mut asm = Assembler::new(false);
        asm.prefetch(Memory::At { base: General(9), index: General(13), scale: 8, offset: 64 }, ask);
        let got = decode(&asm.finish().unwrap().bytes);
        assert_eq!((got.mnemonic(), got.memory_base(), got.memory_index()), (mnemonic, Register::R9, Register::R13));
        assert_eq!((got.memory_index_scale(), got.memory_displacement64()), (8, 64));
    }
}

#[test]
fn places_are_read_before_they_are_stored_to() {
    let place = |offset| Place::Tile { scale: 1, offset };
    let mut steps = Steps::default();
    let [first, second] = [0, 32].map(|offset| steps.value(Home::Place(place(offset))));
    let [sum, other, unused] = [(); 3].map(|()| steps.value(Home::None));
    let add = |result, first, last| Step::Compute {
        opcode: &super::instruction::ADDPD,
        result,
        first: Some(first),
        last,
        third: None,
        immediate: None,
    };
    let store = |value, to| Step::Store { opcode: &super::instruction::STORE, value, mask: None, to };
    steps.steps = vec![
        add(sum, first, first),
        add(unused, second, second),
        add(other, first, second),
        store(sum, place(0)),
        store(other, place(32)),
    ];
    steps.depth_first([]);
    let order: Vec<Value> = steps.steps.iter().map(|step| step.result().unwrap_or(Value(u32::MAX))).collect();
    assert_eq!(order, [sum, other, Value(u32::MAX), Value(u32::MAX)]);
}

#[test]
fn constants_and_functions_are_reached_by_distance() {
    let mut asm = Assembler::new(false);
    let first = asm.constant(&[1; 32]);
    let again = asm.constant(&[1; 32]);
    assert_eq!(first, again);
    asm.vector(&super::instruction::ADDPD, Vector(1), Some(Vector(2)), Operand::Memory(first), Immediate::None);
    asm.call(0x1234_5678, "function");
    let bytes = asm.finish().unwrap().bytes;
    let addition = decode(&bytes);
    let place = addition.memory_displacement64() as usize;
    assert_eq!((bytes[place..place + 32].to_vec(), place % 32), (vec![1; 32], 0));
    let call = Decoder::with_ip(64, &bytes[addition.len()..], addition.len() as u64, DecoderOptions::NONE).decode();
    let table = call.memory_displacement64() as usize;
    assert_eq!(bytes[table..table + 8], 0x1234_5678u64.to_le_bytes());
}

/// An operand may have the memory of a result.
#[test]
fn what_is_read_behind_a_store_is_loaded_before_it() {
    let at = |port| Place::Port { port, size: 4, offset: 0 };
    let mut steps = Steps::default();
    let given = steps.value(Home::Place(Place::Frame(0)));
    let [a, b, sum, late] = [(); 4].map(|()| steps.value(Home::None));
    let load = |result, port| Step::Load { opcode: &super::instruction::LOAD, result, mask: None, from: at(port) };
    let store = |value, port| Step::Store { opcode: &super::instruction::STORE, value, mask: None, to: at(port) };
    let add = |result, first, last| Step::Compute {
        opcode: &super::instruction::ADDPS,
        result,
        first: Some(first),
        last,
        third: None,
        immediate: None,
    };
    steps.steps = vec![load(a, 0), load(b, 1), add(sum, given, a), store(sum, 2), add(late, sum, b), store(late, 3)];
    steps.read_in_place([]);
    assert_eq!(steps.steps.iter().filter_map(Step::result).collect::<Vec<_>>(), [b, sum, late]);
    assert_eq!((steps.homes[a.0 as usize], steps.homes[b.0 as usize]), (Home::Place(at(0)), Home::None));
}
