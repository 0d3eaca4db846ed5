//! The functions that there are and the bounds that they keep.

use crate::elementary::functions as f;
use crate::measure::{Findings, Options, Subject, Worst};
use crate::number::Number;
use crate::time;

/// A function on a type.
pub struct Row {
    pub name: &'static str,
    pub dtype: &'static str,
    /// The bounds with fused multiply-add and without.
    bounds: (f64, f64),
    /// Whether the type is small enough.
    pub can_exhaust: bool,
    pub measure: Box<dyn Fn(&Options) -> Findings>,
    pub time: Box<dyn Fn() -> String>,
}

impl Row {
    fn new<T: Number>(subject: fn() -> Subject<T>, is_unary: bool, fused: f64, separate: f64) -> Self {
        Self {
            name: subject().name,
            dtype: T::NAME,
            bounds: (fused, separate),
            can_exhaust: is_unary && T::WIDTH == 32,
            measure: Box::new(move |options| subject().measure(options)),
            time: Box::new(move || time::times(&subject())),
        }
    }

    /// Prints what was found and says whether all is well.
    pub fn report(&self, found: &Findings) -> bool {
        let within = found.fused.error <= self.bounds.0 && found.separate.error <= self.bounds.1;
        let good = within && found.differences.is_empty();
        let side = |worst: &Worst, bound| format!("{:.4} <= {bound} at {:?}", worst.error, worst.arguments);
        println!(
            "{:8} {} fused {}; separate {}; {} arguments{}",
            self.name,
            self.dtype,
            side(&found.fused, self.bounds.0),
            side(&found.separate, self.bounds.1),
            found.count,
            if good { "" } else { "  FAILED" },
        );
        for difference in &found.differences {
            println!("    {difference}");
        }
        good
    }
}

macro_rules! rows {
    ($t:ty: $($arity:ident $name:ident $function:ident $fused:literal $separate:literal;)*) => {
        vec![$(Row::new::<$t>(
            || Subject::$arity::<f::$function>(stringify!($name)),
            stringify!($arity) == "unary",
            $fused,
            $separate,
        )),*]
    };
}

/// Name, type, bound with fused multiply-add, bound without.
fn double() -> Vec<Row> {
    rows! { f64:
        unary exp Exp 1.0 1.0;
        unary exp2 Exp2 1.0 1.5;
        unary expm1 Expm1 1.0 1.0;
        unary ln Ln 1.0 1.0;
        unary log2 Log2 1.0 1.0;
        unary log10 Log10 1.0 1.0;
        unary log1p Log1p 1.0 1.0;
        unary sin Sin 1.0 2.0;
        unary cos Cos 1.0 2.0;
        unary tan Tan 1.0 2.0;
        unary asin Asin 1.0 2.0;
        unary acos Acos 1.0 2.0;
        unary atan Atan 1.0 2.0;
        unary sinh Sinh 1.5 1.5;
        unary cosh Cosh 1.5 1.5;
        unary tanh Tanh 1.0 1.0;
        unary asinh Asinh 1.0 1.0;
        unary acosh Acosh 1.0 1.0;
        unary atanh Atanh 1.0 1.0;
        unary cbrt Cbrt 1.0 1.0;
        unary erf Erf 2.0 4.0;
        unary erfc Erfc 2.0 4.0;
        unary erfinv Erfinv 2.0 4.0;
        unary gamma Gamma 4.0 5.0;
        unary lgamma Lgamma 4.0 5.0;
        unary digamma Digamma 4.0 5.0;
        binary pow Pow 1.5 1.5;
        binary atan2 Atan2 2.0 4.0;
        binary hypot Hypot 1.0 1.5;
    }
}

fn single() -> Vec<Row> {
    rows! { f32:
        unary exp Exp 1.0 2.0;
        unary exp2 Exp2 1.0 2.0;
        unary expm1 Expm1 1.0 2.0;
        unary ln Ln 1.0 2.0;
        unary log2 Log2 1.0 2.0;
        unary log10 Log10 1.0 2.0;
        unary log1p Log1p 1.0 2.0;
        unary sin Sin 1.0 2.0;
        unary cos Cos 1.0 2.0;
        unary tan Tan 1.0 2.0;
        unary asin Asin 1.0 2.0;
        unary acos Acos 1.0 2.0;
        unary atan Atan 1.0 2.0;
        unary tanh Tanh 1.0 2.0;
        unary cbrt Cbrt 1.0 2.0;
        unary sinh Sinh 2.0 3.0;
        unary cosh Cosh 2.0 3.0;
        unary asinh Asinh 2.0 3.0;
        unary acosh Acosh 2.0 3.0;
        unary atanh Atanh 2.0 3.0;
        unary erf Erf 2.0 3.0;
        unary erfc Erfc 2.0 3.0;
        unary erfinv Erfinv 2.0 3.0;
        unary gamma Gamma 1.0 1.0;
        unary lgamma Lgamma 1.0 1.0;
        unary digamma Digamma 1.0 1.0;
        binary pow Pow 2.0 2.0;
        binary atan2 Atan2 2.0 2.0;
        binary hypot Hypot 2.0 2.0;
    }
}

/// All functions on all types.
pub fn rows() -> Vec<Row> {
    let mut rows = double();
    rows.extend(single());
    rows
}
