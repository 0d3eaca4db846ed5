//! Cases: drawing them, comparing their results with bounds, shrinking and printing the one that fails.

use kroton::Array;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::bounded::Bounded;
use crate::program::{Program, values_of};
use crate::recipe::{Recipe, recipe};
use crate::{build, common};

/// How the values of a function are compared with the bounds.
#[derive(Clone, Copy, PartialEq)]
pub enum Equal {
    Bits,
    Bounds,
}

/// The first element out of place.
pub fn misplaced(got: &[Array], program: &Program, expected: &[Vec<Bounded>], equal: Equal) -> Option<String> {
    for (index, (array, &output)) in got.iter().zip(&program.outputs).enumerate() {
        let node = &program.nodes[output];
        if array.shape() != values_of(&node.shape) || array.dtype() != node.dtype {
            return Some(format!("output {index} is {:?}, not {} {:?}", array, node.dtype, node.shape));
        }
        for (i, (&got, expected)) in common::scalars(array).iter().zip(&expected[output]).enumerate() {
            let near = match equal {
                Equal::Bits => common::same(got, expected.value),
                Equal::Bounds if expected.is_unknown() => true,
                Equal::Bounds if expected.is_exact() => common::same(got, expected.value),
                Equal::Bounds => (got.to_f64() - expected.value.to_f64()).abs() <= expected.error,
            };
            if !near {
                let Bounded { value, error } = *expected;
                return Some(format!("output {index}, element {i} is {got:?}, not {value:?} ± {error:e}"));
            }
        }
    }
    (got.len() != program.outputs.len()).then(|| format!("{} outputs", got.len()))
}

/// A number that the environment may set.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn describe(recipe: &Recipe) -> String {
    let program = Program::new(recipe);
    let (inputs, outputs) = build::build(&program);
    let text = kroton::to_text(&inputs, &outputs).unwrap_or_else(|error| error.to_string());
    let arguments: Vec<String> = program.inputs.iter().map(|(_, argument)| format!("{argument:?}")).collect();
    format!("{text}\n{}\nfrom {recipe:?}", arguments.join("\n"))
}

/// Checks so many graphs; one that fails is shrunk, and printed in its text form with its arguments.
pub fn run_cases(seed: u64, cases: u32, check: impl Fn(&Recipe) -> Result<(), String>) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    match runner.run(&recipe(), |recipe| check(&recipe).map_err(TestCaseError::fail)) {
        Ok(()) => {}
        Err(TestError::Fail(reason, recipe)) => panic!("{reason}\n{}", describe(&recipe)),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
