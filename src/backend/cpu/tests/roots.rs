//! Square roots of f32, some of which are multiplied for: bit for bit those of divisions.

use super::*;
use crate::backend::EngineStage;
use crate::ops::UnaryOp;

/// Whether the sequence in the emitter gives this root from each of some consecutive reciprocal roots.
#[inline(always)]
fn all_give(m: f32, root: f32, reciprocals: std::ops::RangeInclusive<u32>) -> bool {
    let gives = |y: u32| {
        let y = f32::from_bits(y);
        let (g, h) = (m * y, y * 0.5);
        let e = (-g).mul_add(h, 0.5);
        let (g, h) = (g.mul_add(e, g), h.mul_add(e, h));
        (-g).mul_add(g, m).mul_add(h, g) == root
    };
    reciprocals.fold(true, |all, y| all & gives(y))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn all_give_by_vectors(m: f32, root: f32, reciprocals: std::ops::RangeInclusive<u32>) -> bool {
    all_give(m, root, reciprocals)
}

/// All reciprocal roots that `vrsqrt14ps` may give of a number, and a few more.
fn reciprocals(m: f32) -> std::ops::RangeInclusive<u32> {
    let near = 1.0 / f64::from(m).sqrt();
    let [low, high] = [-1.0, 1.0].map(|sign| (near * (1.0 + sign / 16384.0)) as f32);
    low.to_bits() - 2..=high.to_bits() + 2
}

/// The significands at so many places from each other, with all reciprocals.
fn check_significands(step: usize) {
    let all = 0.5f32.to_bits()..2.0f32.to_bits();
    for m in all.step_by(step).chain(2.0f32.to_bits() - 4..2.0f32.to_bits()).map(f32::from_bits) {
        let (root, reciprocals) = (m.sqrt(), reciprocals(m));
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA.
            assert!(unsafe { all_give_by_vectors(m, root, reciprocals) }, "√{m}");
            continue;
        }
        assert!(all_give(m, root, reciprocals), "√{m}");
    }
}

#[test]
fn one_correction_is_enough_for_roots() {
    check_significands(if cfg!(target_arch = "x86_64") { 40_009 } else { 400_009 });
}

/// The proof: `cargo test --lib every_reciprocal_root -- --ignored`.
#[test]
#[ignore = "2.4e10 pairs"]
fn every_reciprocal_root_gives_the_root() {
    check_significands(1);
}

/// Some significands, among them those whose roots are nearest to the middle of neighbors, with all signs and exponents.
fn numbers() -> Vec<Scalar> {
    let hard =
        [0x12_5859, 0x29_7bef, 0x3b_61f7, 0x4d_aeb2, 0x54_6581, 0x70_28ab, 0x7c_114a, 0x2a_177f, 0x7f_ffff, 0x7f_fffe];
    let significands = hard.into_iter().chain([0, 1, 2, 5, 0x40_0000]).chain((0..17).map(|i| i * 500_009 + 77));
    let exponents = (0..512u32).map(|exponent| exponent << 23);
    let bits = significands.flat_map(|significand| exponents.clone().map(move |exponent| exponent | significand));
    // Powers of two that are subnormal, or that are sixteen times the same in a row.
    let same = [0, 1 << 31, f32::INFINITY.to_bits(), 1].into_iter().flat_map(|bits| [bits; 16]);
    bits.chain((0..23).map(|bit| 1 << bit))
        .chain(same)
        .map(|bits| Scalar::from_bits(DType::F32, u64::from(bits)))
        .collect()
}

fn kernel() -> Kernel {
    let mut build = Build::new(1);
    let x = build.read(DType::F32);
    let root = build.unary(UnaryOp::Sqrt, x);
    build.write(root);
    build.map()
}

/// Whatever vector of four a number stands in.
#[test]
fn roots_are_exact() {
    let numbers = numbers();
    let memory = Memory::of(DType::F32, &numbers);
    for set in sets() {
        let executable = prepare_for(set, kernel());
        for first in [0, 8, 16, 24, 3] {
            let count = numbers.len() - first;
            let result = Memory::zeros(DType::F32, count);
            let bindings = [memory.bind(first as isize, &[1]), result.bind(0, &[1])];
            launch_with(&executable, &[count], &bindings, &threads(2));
            for (x, got) in numbers[first..].iter().zip(result.all()) {
                let x = f32::from_bits(x.bits() as u32);
                let (got, want) = (f32::from_bits(got.bits() as u32), x.sqrt());
                assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{set:?}: √{x:e} is {got:e}");
            }
        }
    }
}

/// One of four vectors has a reciprocal root where there is AVX-512.
#[test]
fn one_of_four_roots_is_multiplied_for() {
    for set in sets() {
        let text = prepare_for(set, kernel()).dump(EngineStage::Asm).unwrap().unwrap();
        let isa = super::super::isa::hosted(set).unwrap();
        let wide = isa.features.wide && isa.level.has_avx512();
        assert_eq!(text.matches("vrsqrt14ps").count(), usize::from(wide), "{set:?}");
        assert_eq!(text.contains("prefetchw"), isa.features.wide, "{set:?}");
    }
}
