//! The generator, by arithmetic on words: known answers, and that draws are such numbers.
//!
//! The counter of a draw has two words that are fixed, so that a draw alone cannot meet two of the three known answers of
//! Random123. A graph of integer ops can: on every engine, instruction set and device it gives all three, and there the draws,
//! with counters and keys that are inputs, are what it makes of their counters.

mod common;

use common::{Argument, Layout, call_scalars, engines, plain};
use kroton::expr::apply_binary;
use kroton::ops::BinaryOp;
use kroton::{Compiler, DType, Device, Expr, Function, InstructionSet, Scalar, vector};

const KNOWN: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
    ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
    ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
    (
        [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        [0xa409_3822, 0x299f_31d0],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ),
];

/// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, on words in u64.
fn philox(counter: [Expr; 4], key: [Expr; 2]) -> [Expr; 4] {
    let low = |x: Expr| x & 0xffff_ffff_u64;
    let high = |x: Expr| x >> 32_u64;
    let ([mut a, mut b, mut c, mut d], [mut key0, mut key1]) = (counter, key);
    for _ in 0..10 {
        let (first, second) = (&a * 0xd251_1f53_u64, &c * 0xcd9e_8d57_u64);
        (a, b, c, d) = (high(second.clone()) ^ b ^ &key0, low(second), high(first.clone()) ^ d ^ &key1, low(first));
        (key0, key1) = (low(key0 + 0x9e37_79b9_u64), low(key1 + 0xbb67_ae85_u64));
    }
    [a, b, c, d]
}

/// The words of counters and keys as inputs, what is made of them, and the known ones.
fn known_answers() -> (Vec<Expr>, Vec<Expr>, Vec<Argument>) {
    let inputs: Vec<Expr> = (0..6).map(|word| vector::<u64>(&format!("word{word}"))).collect();
    let [a, b, c, d, key0, key1] = [0, 1, 2, 3, 4, 5].map(|word| inputs[word].clone());
    let words = philox([a, b, c, d], [key0, key1]);
    let given = |word: usize| KNOWN.map(|(counter, key, _)| [&counter[..], &key].concat()[word]);
    let argument = |word: usize| {
        let values = given(word).map(|word| Scalar::U64(u64::from(word))).to_vec();
        Argument::new(DType::U64, &[3], values, Layout::Contiguous)
    };
    (inputs, words.to_vec(), (0..6).map(argument).collect())
}

/// Each draw of a counter and a key, and the same by words: word 2 of the counter is 0, of derived keys 1, word 3 is 0.
fn draws(counters: &Expr, keys: &Expr) -> Vec<(Expr, Expr)> {
    let words = |block: Expr, tag: u64| {
        let split = |x: &Expr| [x & 0xffff_ffff_u64, x >> 32_u64];
        let [low, high] = split(&block);
        let constant = |value: u64| kroton::constant(value).broadcast_to([counters.len()]);
        philox([low, high, constant(tag), constant(0)], split(keys))
    };
    let part = |of: &Expr, number: u64, parts: u64| (of & (parts - 1)).eq(number);
    let pair = |low: &Expr, high: &Expr| low | (high << 32_u64);
    let [a, b, c, d] = words(counters >> 2_u64, 0);
    let third = part(counters, 2, 4).select(c, d);
    let word = part(counters, 0, 4).select(a, part(counters, 1, 4).select(b, third));
    let [a, b, c, d] = words(counters >> 1_u64, 0);
    let both = part(counters, 0, 2).select(pair(&a, &b), pair(&c, &d));
    let [a, b, ..] = words(counters.clone(), 1);
    let draw = |op: BinaryOp| apply_binary(op, counters, keys);
    vec![
        (draw(BinaryOp::RandomBits32).cast::<u64>(), word),
        (draw(BinaryOp::RandomBits64), both),
        (draw(BinaryOp::RandomKey), pair(&a, &b)),
    ]
}

/// Counters that follow each other and such that do not, across carries, under one key and under many.
fn counters_and_keys() -> Vec<[Argument; 2]> {
    const COUNT: u64 = 83;
    let mixed = |i: u64| i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let argument = |values: &dyn Fn(u64) -> u64| {
        let values = (0..COUNT).map(|i| Scalar::U64(values(i))).collect();
        Argument::new(DType::U64, &[COUNT as usize], values, Layout::Contiguous)
    };
    let mut cases = Vec::new();
    for start in [0, 3, 0xffff_ffff * 4 - 30, u64::MAX - 40, 1 << 48] {
        cases.push([argument(&|i| start.wrapping_add(i)), argument(&|_| 0x299f_31d0_a409_3822)]);
        cases.push([argument(&|i| start.wrapping_add(i)), argument(&mixed)]);
    }
    cases.extend([[argument(&mixed), argument(&|_| u64::MAX)], [argument(&mixed), argument(&|i| mixed(!i))]]);
    cases
}

/// By a compiler, and a way to call what it makes.
fn check(way: &str, compiler: &Compiler, call: impl Fn(&Function, &[&Argument]) -> Vec<Scalar>) {
    let (inputs, words, arguments) = known_answers();
    let arguments: Vec<&Argument> = arguments.iter().collect();
    for (number, word) in words.iter().enumerate() {
        let expected = KNOWN.map(|(_, _, words)| Scalar::U64(u64::from(words[number])));
        let f = compiler.compile(&inputs, word).unwrap();
        assert_eq!(call(&f, &arguments), expected, "word {number} of the known answers, {way}");
    }
    let inputs = [vector::<u64>("counters"), vector::<u64>("keys")];
    for (number, (draw, words)) in draws(&inputs[0], &inputs[1]).iter().enumerate() {
        let [draw, words] = [draw, words].map(|expr| compiler.compile(&inputs, expr).unwrap());
        for (case, [counters, keys]) in counters_and_keys().iter().enumerate() {
            let [drawn, expected] = [&draw, &words].map(|f| call(f, &[counters, keys]));
            assert_eq!(drawn, expected, "draw {number} of counters {case}, {way}");
        }
    }
}

fn on_host(f: &Function, arguments: &[&Argument]) -> Vec<Scalar> {
    call_scalars(f, arguments).unwrap()
}

#[test]
fn engines_give_the_known_answers() {
    for (name, device) in engines() {
        check(name, &plain(device), on_host);
    }
}

#[test]
fn instruction_sets_give_the_known_answers() {
    for set in InstructionSet::ALL {
        let (compiler, x) = (plain(Device::Cpu).isa(set), vector::<u64>("x"));
        match compiler.compile([&x], &x) {
            Ok(_) => check(&format!("{set:?}"), &compiler, on_host),
            Err(error) => assert!(error.to_string().contains("this processor does not have it"), "{error}"),
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
fn devices_give_the_known_answers() {
    use common::{gpu, scalars};
    for engine in gpu::MASKS.iter().filter_map(|&(name, mask)| gpu::Engine::new(name, mask)) {
        check(engine.name, &engine.compiler(), |f, arguments| scalars(&engine.call(f, arguments).unwrap()[0]));
    }
}
