//! Quotients by one square root, which share a reciprocal: bit for bit those of divisions.

use super::loops::{Bound, filled};
use super::*;
use crate::backend::EngineStage;
use crate::ops::{BinaryOp, UnaryOp};

/// Vectors that are divided out of line stand behind the function's end.
fn has_detours(executable: &Arc<dyn Executable>) -> bool {
    let text = executable.dump(EngineStage::Asm).unwrap().unwrap();
    text.rsplit("    ret").next().unwrap().contains("vdivp")
}

/// `−a/√b` and `c/√b`.
fn kernel(dtype: DType) -> Kernel {
    let mut build = Build::new(1);
    let [a, b, c] = [(); 3].map(|()| build.read(dtype));
    let (minus, root) = (build.unary(UnaryOp::Neg, a), build.unary(UnaryOp::Sqrt, b));
    for x in [minus, c] {
        let quotient = build.binary(BinaryOp::Div, x, root);
        build.write(quotient);
    }
    build.map()
}

/// Bits of a significand, without the first, and all of an exponent.
fn layout(dtype: DType) -> (u32, u64) {
    if dtype == DType::F32 { (23, 0xff) } else { (52, 0x7ff) }
}

/// Numbers as bits.
struct Numbers {
    dtype: DType,
    state: u64,
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One of moderate size.
    fn common(&mut self) -> u64 {
        let (bits, exponents) = layout(self.dtype);
        let random = self.next();
        let sign = random >> 63 << (bits + exponents.count_ones());
        let exponent = exponents / 2 - 8 + (random >> 54 & 15);
        sign | exponent << bits | random & ((1 << bits) - 1)
    }

    /// Any bits, or an edge.
    fn special(&mut self, edges: &[u64]) -> u64 {
        let random = self.next();
        let kept = u64::MAX >> (64 - self.dtype.size() * 8);
        if random.is_multiple_of(2) { self.next() & kept } else { edges[(random >> 8) as usize % edges.len()] }
    }

    /// The numerator of the divisor's quotient that is as near as any to the middle of two neighbors.
    fn hard(&mut self, divisor: u64) -> u64 {
        let (bits, exponents) = layout(self.dtype);
        let significand = u128::from(divisor & ((1 << bits) - 1) | 1 << bits | 1);
        let modulus = 1u128 << (bits + 2);
        let inverse = (0..6).fold(1u128, |x, _| x * (2 + modulus * 4 - significand * x % modulus) % modulus);
        let below = self.next() & 1;
        let middle = if below == 0 { inverse } else { modulus - inverse };
        let product = middle * significand;
        let numerator = ((product + u128::from(below)) / modulus) as u64;
        let shift = numerator.leading_zeros() as i32 - (63 - bits as i32);
        numerator << shift.max(0) & ((1 << bits) - 1) | (exponents / 2) << bits
    }
}

/// A numerator, and the square of a divisor, whose quotient is the middle of two subnormal neighbors.
fn tie(numbers: &mut Numbers) -> [u64; 2] {
    // The exponents of the smallest number's half and of the largest roots; bits of the middle.
    let (half, largest, bits) = if numbers.dtype == DType::F32 { (-150, 62, 22) } else { (-1075, 510, 51) };
    let random = numbers.next();
    let (odd, power) = ((random >> (64 - bits) | 1) as f64, largest - (random % 64) as i32 % (largest / 2));
    [3.0 * odd * 2f64.powi(power + half), 9.0 * 2f64.powi(2 * power)]
        .map(|number| Scalar::F64(number).cast(numbers.dtype).bits())
}

/// Zeros, infinities, NaN, numbers at the edges of what there is and of what is divided in line, significands of ones.
fn edges(dtype: DType) -> Vec<u64> {
    let (bits, exponents) = layout(dtype);
    let bias = exponents / 2;
    let numbers: Vec<u64> = [-500i64, -499, 500, -120, 120, 0, 1, -1, 64, -64]
        .into_iter()
        .filter(|power| power.unsigned_abs() < bias)
        .map(|power| ((bias as i64 + power) as u64) << bits)
        .flat_map(|number| [number - 1, number, number + 1])
        .collect();
    let infinity = exponents << bits;
    let rare = [0, 1, 2, (1 << bits) - 1, 1 << bits, infinity - 1, infinity, infinity + 5, infinity | 5 << (bits - 3)];
    let positive: Vec<u64> = numbers.into_iter().chain(rare).collect();
    let sign = 1 << (bits + exponents.count_ones());
    positive.iter().copied().chain(positive.iter().map(|number| number | sign)).collect()
}

/// Numerators and divisors: pairs of all edges, hard quotients, ties, vectors with few lanes out of range and with many.
fn operands(dtype: DType, count: usize) -> [Vec<u64>; 3] {
    let (mut numbers, edges) = (Numbers { dtype, state: dtype as u64 }, edges(dtype));
    let mut all = [(); 3].map(|()| Vec::new());
    for &numerator in &edges {
        for (index, &divisor) in edges.iter().enumerate() {
            let other = if index % 2 == 0 { numbers.common() } else { numerator };
            all.iter_mut().zip([numerator, divisor, other]).for_each(|(all, number)| all.push(number));
        }
    }
    for index in 0..count {
        let divisor = if numbers.next().is_multiple_of(32) { numbers.special(&edges) } else { numbers.common() };
        if index / 4096 % 4 == 3 {
            let [numerator, square] = tie(&mut numbers);
            let common = numbers.common();
            all.iter_mut().zip([numerator, square, common]).for_each(|(all, number)| all.push(number));
            continue;
        }
        let [a, c] = [(); 2].map(|()| match (index / 4096 % 4, numbers.next() % 32) {
            (0, 0) => numbers.special(&edges),
            (1, _) => numbers.hard(root(dtype, divisor)),
            (2, 0..16) => numbers.special(&edges),
            (_, _) => numbers.common(),
        });
        all.iter_mut().zip([a, divisor, c]).for_each(|(all, number)| all.push(number));
    }
    all
}

fn root(dtype: DType, x: u64) -> u64 {
    if dtype == DType::F32 {
        u64::from(f32::from_bits(x as u32).sqrt().to_bits())
    } else {
        f64::from_bits(x).sqrt().to_bits()
    }
}

fn divided(dtype: DType, a: u64, b: u64) -> u64 {
    if dtype == DType::F32 {
        u64::from((f32::from_bits(a as u32) / f32::from_bits(b as u32)).to_bits())
    } else {
        (f64::from_bits(a) / f64::from_bits(b)).to_bits()
    }
}

/// Launches the kernel on elements from one on.
fn run(executable: &Arc<dyn Executable>, given: &[Memory; 3], first: usize, parallelism: &Parallelism) -> [Memory; 2] {
    let (dtype, count) = (given[0].dtype, given[0].length - first);
    let results = [(); 2].map(|()| Memory::zeros(dtype, count));
    let bindings = given.iter().map(|memory| memory.bind(first as isize, &[1]));
    let bindings: Vec<Binding> = bindings.chain(results.iter().map(|memory| memory.bind(0, &[1]))).collect();
    launch_with(executable, &[count], &bindings, parallelism);
    results
}

fn check(executable: &Arc<dyn Executable>, dtype: DType, given: &[Vec<u64>; 3], first: usize, threads: &Parallelism) {
    let element = |&bits: &u64| Scalar::from_bits(dtype, bits);
    let memories = given.each_ref().map(|bits| Memory::of(dtype, &bits.iter().map(element).collect::<Vec<_>>()));
    let sign = 1 << (dtype.size() * 8 - 1);
    let results = run(executable, &memories, first, threads).map(|memory| memory.all());
    for index in 0..results[0].len() {
        let [a, b, c] = given.each_ref().map(|bits| bits[first + index]);
        for (result, numerator) in results.iter().zip([a ^ sign, c]) {
            let (got, want) = (result[index].bits(), divided(dtype, numerator, root(dtype, b)));
            let both_nan = result[index].is_nan() && Scalar::from_bits(dtype, want).is_nan();
            assert!(got == want || both_nan, "{dtype} {numerator:#x} / √{b:#x} is {got:#x}, not {want:#x}");
        }
    }
}

#[test]
fn quotients_are_exact() {
    let count = if cfg!(debug_assertions) { 1 << 15 } else { 3 << 20 };
    for dtype in [DType::F32, DType::F64] {
        let given = operands(dtype, count);
        for set in sets() {
            let executable = prepare_for(set, kernel(dtype));
            if dtype == DType::F64
                && set != InstructionSet::Avx2Narrow
                && super::super::isa::hosted(set).unwrap().features.wide
            {
                assert!(has_detours(&executable), "{set:?}");
            }
            check(&executable, dtype, &given, 0, &threads(2));
        }
    }
}

/// The same bits of NaN too, wherever a vector begins and with however many threads.
#[test]
fn neighbors_change_nothing() {
    for dtype in [DType::F32, DType::F64] {
        let given = operands(dtype, 4000).map(|bits| bits[..6000].to_vec());
        let executable = prepare(kernel(dtype));
        let memories = given.each_ref().map(|bits| {
            Memory::of(dtype, &bits.iter().map(|&bits| Scalar::from_bits(dtype, bits)).collect::<Vec<_>>())
        });
        let whole = run(&executable, &memories, 0, &threads(1)).map(|memory| memory.all());
        for first in (0..20).chain([5990, 5999]) {
            for threads in [threads(1), threads(2), threads(8)] {
                let shifted = run(&executable, &memories, first, &threads);
                for (whole, shifted) in whole.iter().zip(&shifted) {
                    let bits = |all: &[Scalar]| all.iter().map(|element| element.bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&whole[first..]), bits(&shifted.all()), "{dtype} from {first}");
                }
            }
        }
    }
}

/// A significand of so many bits, times a power of two that is left out, nearest to a ratio.
fn nearest(over: i128, under: i128, bits: u32) -> (i128, i32) {
    let (mut over, mut under, mut power) = (over, under, 0);
    while over < under << (bits - 1) {
        (over, power) = (over * 2, power - 1);
    }
    while over >= under << bits {
        (under, power) = (under * 2, power + 1);
    }
    let (whole, rest) = (over / under, over % under);
    let up = rest * 2 > under || rest * 2 == under && whole % 2 == 1;
    (whole + i128::from(up), power)
}

/// The argument in the emitter, for all significands of few bits: one correction is enough.
#[test]
fn one_correction_is_enough_for_short_significands() {
    // Fixed point, fine enough for all products and sums below to be exact.
    const ONE: i128 = 1 << 50;
    let round = |value: i128, bits: u32| {
        if value == 0 {
            return 0;
        }
        let (whole, power) = nearest(value.abs(), 1, bits);
        let size = if power < 0 { whole >> -power } else { whole << power };
        size * value.signum()
    };
    for bits in 3..=8u32 {
        for (a, b) in (1 << (bits - 1)..1 << bits).flat_map(|a| (1 << (bits - 1)..1 << bits).map(move |b| (a, b))) {
            let at =
                |(whole, power): (i128, i32)| if power < 0 { (whole * ONE) >> -power } else { (whole * ONE) << power };
            let reciprocal = at(nearest(1, b, bits));
            let first = round(a * reciprocal, bits);
            let rest = round(a * ONE - b * first, bits);
            let tried = round(first + (rest / (ONE >> 20)) * (reciprocal / (ONE >> 30)), bits);
            assert_eq!(tried, at(nearest(a, b, bits)), "{a} / {b} in {bits} bits");
        }
    }
}

/// What a step makes of two carried values and a third.
type Next = fn(&mut Build, [ValueId; 3], [ValueId; 3]) -> Vec<ValueId>;

/// Particles that turn about the origin: their direction goes into the next step.
fn particles(dtype: DType, carried: usize, next: Next) -> Kernel {
    let mut k = Build::new(2);
    let given = [k.read(dtype), k.read(dtype), k.read(dtype)];
    let initial = &given[..carried];
    let before = k.take_block();
    let current = k.currents(initial);
    let [a, b, c] = [current[0], current[1], current.get(2).copied().unwrap_or(given[2])];
    let (aa, bb) = (k.binary(BinaryOp::Mul, a, a), k.binary(BinaryOp::Mul, b, b));
    let sum = k.binary(BinaryOp::Add, aa, bb);
    let norm = k.unary(UnaryOp::Sqrt, sum);
    let minus = k.unary(UnaryOp::Neg, b);
    let (vx, vy) = (k.binary(BinaryOp::Div, minus, norm), k.binary(BinaryOp::Div, a, norm));
    let next = next(&mut k, [a, b, c], [vx, vy, given[2]]);
    let (carried, results) = k.carried(initial, &current, &next);
    let steps = vec![Nest::Block(k.take_block())];
    let looped = Nest::Sequential { axis: Axis(1), carried, body: steps };
    results.into_iter().for_each(|result| k.write(result));
    let after = k.take_block();
    k.kernel(&[0], vec![Nest::Block(before), looped, Nest::Block(after)])
}

fn forward(k: &mut Build, [a, b, _]: [ValueId; 3], [vx, vy, c]: [ValueId; 3]) -> Vec<ValueId> {
    let (dx, dy) = (k.binary(BinaryOp::Mul, c, vx), k.binary(BinaryOp::Mul, c, vy));
    vec![k.binary(BinaryOp::Add, a, dx), k.binary(BinaryOp::Add, b, dy)]
}

/// One value takes the place of another, and one is read when the next is known.
fn tangled(k: &mut Build, [a, b, p]: [ValueId; 3], [vx, vy, c]: [ValueId; 3]) -> Vec<ValueId> {
    let dx = k.binary(BinaryOp::Mul, c, vx);
    let next = k.binary(BinaryOp::Add, a, dx);
    let dy = k.binary(BinaryOp::Mul, a, vy);
    vec![next, p, k.binary(BinaryOp::Add, b, dy)]
}

/// In loops over steps, where some coordinates stay 0, and where one particle is somewhere else.
#[test]
fn loops_share_reciprocals() {
    for dtype in [DType::F32, DType::F64] {
        for (carried, next) in [(2, forward as Next), (3, tangled)] {
            let kernel = particles(dtype, carried, next);
            for n in [1, 3, 4, 5, 16, 17, 36, 200] {
                loop_shares_reciprocals(dtype, &kernel, carried, n);
            }
        }
    }
}

fn loop_shares_reciprocals(dtype: DType, kernel: &Kernel, carried: usize, n: usize) {
    let operands: Vec<_> = (0..3 + carried as u64).map(|seed| filled(dtype, &[n, 9], &[1, 0], seed)).collect();
    super::loops::check(&dtype.to_string(), kernel, &[n, 9], &operands);
    let check_with = |index: usize, elements: &dyn Fn(usize) -> Option<f64>| {
        let mut operands = operands.clone();
        let Bound::Memory(memory, ..) = &mut operands[index] else { panic!() };
        for (element, number) in (0..n).filter_map(|element| Some((element, elements(element)?))) {
            memory.set(element, Scalar::F64(number).cast(dtype));
        }
        super::loops::check(&dtype.to_string(), kernel, &[n, 9], &operands);
    };
    for index in 0..2 {
        check_with(index, &|element| Some([0.0, -0.0][element % 2]));
        for number in [f64::NAN, f64::INFINITY, 1e-310, -1e-200, 1e200, 5e-324] {
            check_with(index, &|element| (element == n * 2 / 3).then_some(number));
        }
    }
}

/// Loops have the divisions out of line.
#[test]
fn loops_divide_out_of_line() {
    let executable = prepare(particles(DType::F64, 2, forward));
    let wide = super::super::isa::hosted(InstructionSet::Native).unwrap().features.wide;
    assert_eq!(has_detours(&executable), wide);
}
