//! The kernels of each level against the definitions, on random numbers, multiples and their neighbors, and edges.

use super::Divide;
use crate::elementary::Binary;
use crate::elementary::functions::{FloorDiv, Rem};
use crate::elementary::kernel::{Element, Level, binary_kernel};
use crate::elementary::philox::bits64;

/// Random pairs of each kind.
const PAIRS: u64 = 20_000;

/// The levels that the processor has.
fn levels() -> impl Iterator<Item = Level> {
    #[cfg(target_arch = "x86_64")]
    let all = [Level::Baseline, Level::Avx2, Level::Avx512];
    #[cfg(not(target_arch = "x86_64"))]
    let all = [Level::Baseline];
    all.into_iter().filter(|&level| level <= Level::native())
}

/// A number that tests compare.
trait Tested: Divide + Element + std::fmt::Debug {
    fn is_same(self, other: Self) -> bool;
}

macro_rules! integers {
    ($($name:ident $t:ident)*) => { $(
        impl Tested for $t {
            fn is_same(self, other: $t) -> bool {
                self == other
            }
        }

        #[test]
        fn $name() {
            let edges = [0, 1, 2, 3, 7, 10, 1 << ($t::BITS - 2), $t::MAX - 1, $t::MAX, $t::MIN, $t::MIN + 1];
            let near_limit = [(1u64 << 50) - 1, 1 << 50, 1 << 51, 1 << 53].map(|word| word as $t);
            let edges: Vec<$t> = edges.into_iter().chain(near_limit).flat_map(|x| [x, x.wrapping_neg(), !x]).collect();
            let random = |i| {
                let number = |key| bits64(i, key) as $t >> (bits64(i, key + 1) % u64::from($t::BITS));
                let (a, b) = (number(1), number(3));
                let multiple = a.wrapping_mul(b);
                [(a, b), (multiple, b), (multiple.wrapping_add(1), b), (multiple.wrapping_sub(1), b)]
            };
            check((0..PAIRS).flat_map(random).chain(all_pairs(&edges)).collect::<Vec<_>>());
        }
    )* };
}

macro_rules! floats {
    ($($name:ident $t:ident $bits:ident)*) => { $(
        impl Tested for $t {
            fn is_same(self, other: $t) -> bool {
                self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
            }
        }

        #[test]
        fn $name() {
            let least = $t::from_bits(1);
            let powers = ($t::MANTISSA_DIGITS - 6..=$t::MANTISSA_DIGITS + 1).map(|power| (1u64 << power) as $t);
            let edges = [0.0, least, 3.0 * least, $t::MIN_POSITIVE, 0.1, 0.5, 1.0, 1.5, 3.0, 7.0, $t::MAX / 4.0];
            let edges = edges.into_iter().chain([$t::MAX / 2.0, $t::MAX, $t::INFINITY, $t::NAN]).chain(powers);
            let edges: Vec<$t> = edges.flat_map(|x| [x, -x, x.next_up(), x.next_down()]).collect();
            let random = |i| {
                let any = |key| $t::from_bits(bits64(i, key) as $bits);
                // As many bits as most numbers that people write, or all.
                let short = |key| $t::from_bits(any(key).to_bits() & !($bits::MAX >> 12));
                let usual = |key| (bits64(i, key) as i64 as $t) / (1u64 << (bits64(i, key + 1) % 64)) as $t;
                let times = (bits64(i, 5) >> (bits64(i, 6) % 64)) as $t;
                let near = |b: $t| {
                    let multiple = times * b;
                    [multiple, multiple.next_up(), multiple.next_down(), -multiple].map(|a| (a, b))
                };
                let others = [(any(1), any(2)), (usual(1), usual(3)), (usual(1), short(3) % 1e6), (usual(7), usual(7))];
                others.into_iter().chain(near(usual(1))).chain(near(short(2))).chain(near(any(2)))
            };
            check((0..PAIRS).flat_map(random).chain(all_pairs(&edges)).collect::<Vec<_>>());
        }
    )* };
}

integers! { quotients_of_i8 i8 quotients_of_u8 u8 quotients_of_i32 i32 quotients_of_u32 u32 quotients_of_i64 i64 quotients_of_u64 u64 }
floats! { quotients_of_f32 f32 u32 quotients_of_f64 f64 u64 }

fn all_pairs<T: Copy>(edges: &[T]) -> impl Iterator<Item = (T, T)> {
    edges.iter().flat_map(|&a| edges.iter().map(move |&b| (a, b)))
}

/// Whether kernels give the bits of the definitions.
fn check<T: Tested>(pairs: Vec<(T, T)>)
where
    FloorDiv: Binary<T>,
    Rem: Binary<T>,
{
    compare::<FloorDiv, T>("floor_div", &pairs, Divide::floor_div);
    compare::<Rem, T>("rem", &pairs, Divide::rem);
}

fn compare<F: Binary<T>, T: Tested>(name: &str, pairs: &[(T, T)], definition: impl Fn(T, T) -> T) {
    let (a, b): (Vec<T>, Vec<T>) = pairs.iter().copied().unzip();
    for level in levels() {
        let kernel = binary_kernel::<F, T>(level);
        let mut out = a.clone();
        // SAFETY: all have that length, and the processor has the level.
        unsafe { kernel(out.as_mut_ptr(), a.as_ptr(), b.as_ptr(), a.len()) };
        for (&(a, b), got) in pairs.iter().zip(out) {
            let want = definition(a, b);
            assert!(got.is_same(want), "{a:?} {name} {b:?} in a kernel for {level:?}: {got:?}, not {want:?}");
        }
    }
}

/// Most arguments of everyday programs take the fast way.
#[test]
fn usual_arguments_are_not_rare() {
    let is_rare = |a, b| <Rem as Binary<f64>>::is_rare(a, b);
    assert!(!is_rare(1e15, 1.0) && !is_rare(-7.5, 0.1) && !is_rare(f64::NAN, 1.0) && !is_rare(5e-324, 1e300));
    assert!(is_rare(1e16, 1.0) && is_rare(1.0, 0.0) && is_rare(1.0, f64::INFINITY) && is_rare(f64::INFINITY, 1.0));
    assert!(!<Rem as Binary<f32>>::is_rare(2e6, 1.0) && <Rem as Binary<f32>>::is_rare(3e6, 1.0));
    assert!(!<Rem as Binary<i64>>::is_rare(-1_000_000_000_000_000, 7) && <Rem as Binary<i64>>::is_rare(i64::MIN, 7));
    assert!(!<Rem as Binary<u64>>::is_rare(1 << 49, 7) && <Rem as Binary<u64>>::is_rare(7, u64::MAX));
    assert!(!<Rem as Binary<i32>>::is_rare(i32::MIN, 0));
}
