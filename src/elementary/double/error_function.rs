//! The error function of `f64` and its complement.
//!
//! erf x for x ≥ 0 is a polynomial in the distance of x from the next multiple of 1/2, for each of these one of its own:
//! their coefficients take as many instructions to find as to use, and still half of what an exponential would.
//!
//! erfc x = e^(−x²)·f/(1 + 2x) for x ≥ 0, where f is a polynomial in (x − 3.5)/(x + 3.5) (after Shepherd and Laframboise,
//! Math. Comp. 36, 1981), and 2 − erfc(−x) below; x² is a pair of numbers, lest its rounding be magnified.

use super::exponential::Reduced;
use super::pair::{ordered_sum, product};
use super::polynomial;
use crate::elementary::functions::{Erf, Erfc};
use crate::elementary::kernel::{Level, UnaryKernel};
use crate::elementary::piecewise::{self, Piecewise, Table, Wide};
use crate::elementary::{Arithmetic, Unary};

/// 2/√π.
const SLOPE: f64 = core::f64::consts::FRAC_2_SQRT_PI;

/// From here on erf is 1, and so is its last piece at its middle.
const ONE_FROM: f64 = 6.0;

/// Added to a number below 2⁴⁹ it leaves the nearest multiple of 1/2 in the low bits of the sum, as its double.
const HALVES: f64 = 3_377_699_720_527_872.0;

/// erf(k/2 + t) for |t| ≤ 1/4, k from 0 on: least squares in the zeros of a Chebyshev polynomial, coefficients rounded one
/// after the other. Off by 0.11 ULP for k = 0, by 0.18 for others, besides the rounding of the constant coefficient.
static ERF: Table<f64> = Table::new(&[
    [
        0.0,
        SLOPE,
        0.0,
        -0.3761263890318234,
        0.0,
        0.11283791670642405,
        0.0,
        -0.026866170364481433,
        0.0,
        0.005223965268940529,
        0.0,
        -0.0008545492187426745,
        0.0,
        0.0001172953270046205,
    ],
    [
        0.5204998778130465,
        0.8787825789354449,
        -0.4393912894677125,
        -0.14646376315594195,
        0.18307970394184092,
        0.007323188162990548,
        -0.05004178543162629,
        0.0054052099432725246,
        0.010047573643712697,
        -0.0021673984043981804,
        -0.0015691392299153845,
        0.0004970785510707948,
        0.00019211716488020178,
        -8.243604055484839e-05,
    ],
    [
        0.8427007929497149,
        0.41510749742059466,
        -0.41510749742060654,
        0.13836916580688277,
        0.06918458290707079,
        -0.06918458290602396,
        0.004612305152396148,
        0.015154718336370013,
        -0.004777012950085272,
        -0.001885194763622102,
        0.0012258601768410226,
        8.565073035883532e-05,
        -0.00019498555810669197,
        1.741502559473927e-05,
    ],
    [
        0.9661051464753108,
        0.11893028922362937,
        -0.17839543383543705,
        0.13875200409423316,
        -0.044598858461015335,
        -0.014866286152766287,
        0.019326172220565267,
        -0.004743053215375152,
        -0.0023626881451538316,
        0.0017098201078989993,
        -9.266112792304705e-05,
        -0.0002544601656437729,
        7.468464632436079e-05,
        1.808412115606777e-05,
    ],
    [
        0.9953222650189527,
        0.020666985354092057,
        -0.04133397070818604,
        0.04822296582621299,
        -0.034444975589558766,
        0.013089090724581552,
        0.0004592662799559943,
        -0.0033788881068469393,
        0.0015910327348643714,
        -5.0117354808477366e-05,
        -0.00026287251698144917,
        0.00010374467271888636,
        6.064910230813519e-06,
        -1.6017716461963873e-05,
    ],
    [
        0.999593047982555,
        0.0021782842303527073,
        -0.005445710575881887,
        0.008350089549686747,
        -0.008622375078445061,
        0.006117348213343202,
        -0.0027984901605676987,
        0.000542410078720485,
        0.000260670338946513,
        -0.00025028606220485445,
        7.879743736056967e-05,
        5.151104182081555e-06,
        -1.4035704716812232e-05,
        4.540862885647167e-06,
    ],
    [
        0.9999779095030014,
        0.0001392530519467484,
        -0.0004177591558400121,
        0.0007891006276979077,
        -0.0010443978896717096,
        0.001016547279268351,
        -0.0007380411680056926,
        0.0003905716508681991,
        -0.0001347774075554378,
        1.3907055990967844e-05,
        1.562454931402911e-05,
        -1.0797197894812858e-05,
        2.9325581799883258e-06,
        1.6173221143267185e-07,
    ],
    [
        0.9999992569016276,
        5.399426777384766e-06,
        -1.8897993720892786e-05,
        4.229550975619061e-05,
        -6.771781081888002e-05,
        8.21162822376973e-05,
        -7.774424784754759e-05,
        5.819275074909004e-05,
        -3.425910626122926e-05,
        1.5330763132939718e-05,
        -4.642680985848239e-06,
        4.4481315193838076e-07,
        4.6350647942557126e-07,
        -3.028803550775411e-07,
    ],
    [
        0.9999999845827421,
        1.2698234671864724e-07,
        -5.079293868778866e-07,
        1.3121509161038322e-06,
        -2.454992035572312e-06,
        3.5343419817772793e-06,
        -4.057791536545397e-06,
        3.795966073857921e-06,
        -2.9264344062058757e-06,
        1.8631691660947656e-06,
        -9.703980889976889e-07,
        4.008956995939345e-07,
        -1.1884303610135607e-07,
        1.617979399683732e-08,
    ],
    [
        0.9999999998033839,
        1.811305895910219e-09,
        -8.150876530456957e-09,
        2.38488609618838e-08,
        -5.094297867023357e-08,
        8.45427028495944e-08,
        -1.1322922404328531e-07,
        1.2545124992656315e-07,
        -1.168709529525394e-07,
        9.247642826364593e-08,
        -6.24108966531172e-08,
        3.5954417904341214e-08,
        -1.7991895601446464e-08,
        7.1574133579898255e-09,
    ],
    [
        0.9999999999984626,
        1.5670866531302617e-11,
        -7.835433254856612e-11,
        2.5595748650294874e-10,
        -6.13775638493821e-10,
        1.1507639950112461e-09,
        -1.7542630887517135e-09,
        2.232101265534945e-09,
        -2.4143741041494683e-09,
        2.2485286262590382e-09,
        -1.815443491915325e-09,
        1.2841058132677799e-09,
        -8.406473670798872e-10,
        4.5036071569698814e-10,
    ],
    [
        0.9999999999999927,
        8.223316046417374e-14,
        -4.5228237915616184e-13,
        1.6309576754210489e-12,
        -4.334373854645999e-12,
        9.046334115125032e-12,
        -1.542900599636328e-11,
        2.209176654395586e-11,
        -2.7075024863109375e-11,
        2.8793524022672158e-11,
        -2.673813422762331e-11,
        2.207188877239022e-11,
        -1.761515268976932e-11,
        1.1388441779184515e-11,
    ],
    [
        1.0,
        2.617301241186074e-16,
        -1.570380696411571e-15,
        6.1942794840284904e-15,
        -1.8059393000529944e-14,
        4.1484244567649354e-14,
        -7.815113321191152e-14,
        1.2409720096808457e-13,
        -1.694710153078592e-13,
        2.017967902437866e-13,
        -2.1030385159868582e-13,
        1.9700064891465125e-13,
        -1.8549765685882397e-13,
        1.382964850822041e-13,
    ],
]);
/// Where erfc is 0, and more.
const ZERO_FROM: f64 = 27.5;

/// The x at which the variable of `F` is 0.
const MIDDLE: f64 = 3.5;

/// (1 + 2x)·erfc(x)·e^(x²) in (x − 3.5)/(x + 3.5), for x up to 27.3; off by 0.2 · 2⁻⁵³ of itself at most. The constant
/// term, and the others.
const F_MIDDLE: f64 = 1.2423492448711544;
const F: [f64; 23] = [
    -0.1400091801376194,
    -0.01055559633221681,
    0.09751909515325552,
    -0.11508959816028558,
    0.08798315382499668,
    -0.048823325825573236,
    0.01909933093997828,
    -0.0042150199377723905,
    -0.0003022678534785199,
    0.0005643846450312957,
    -0.00012151256224233801,
    -4.2783313824427816e-05,
    2.4261462220353213e-05,
    2.3316349780920707e-06,
    -3.815707399005285e-06,
    -5.081559452588914e-08,
    6.023597295662931e-07,
    1.5843500293025928e-10,
    -9.538790884815765e-08,
    -5.055453607617646e-09,
    1.1894049572798875e-08,
    1.6941383422500658e-09,
    -4.2256532303628344e-10,
];

/// (erf(x)/x − 2/√π)/x² in x² for |x| < 0.54 (by Sollya's `fpminimax`); off by 0.01 · 2⁻⁵³ of the complement at most.
const CENTRAL: [f64; 9] = [
    -0.3761263890318344,
    0.112837916709361,
    -0.02686617063987875,
    0.005223977546169748,
    -0.0008548319893951923,
    0.00012054936227084298,
    -1.4911963563602797e-05,
    1.6180035365687345e-06,
    -1.322058202516465e-07,
];

/// Two neighboring terms of a piece's polynomial in t, without the power of t² that they share.
#[inline(always)]
fn two_terms<L: Wide>(piece: L, pair: usize, t: L) -> L {
    let [a, b] = piece.coefficients(&ERF, pair);
    b.mul_add(t, a)
}

impl Piecewise for Erf {
    #[inline(always)]
    fn on<L: Wide>(x: L) -> L {
        let size = x.magnitude(ONE_FROM);
        let piece = size.plus(x.splat(HALVES));
        let t = size.minus(piece.minus(x.splat(HALVES)));
        let square = t.times(t);
        let mut sum = two_terms(piece, 6, t);
        for pair in [5, 4, 3, 2, 1] {
            sum = sum.mul_add(square, two_terms(piece, pair, t));
        }
        let [c0, c1] = piece.coefficients(&ERF, 0);
        t.mul_add(c1, square.times(sum)).plus(c0).copysign(x)
    }
}

impl Unary<f64> for Erf {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        piecewise::single::<Self, f64, A>(x)
    }

    fn kernel(level: Level) -> UnaryKernel<f64> {
        piecewise::double_kernel::<Self>(level)
    }
}

/// f/(1 + 2x) for 0.47 ≤ x ≤ 27.5, as a number and a small rest.
#[inline(always)]
fn scaled_complement<A: Arithmetic>(x: f64) -> (f64, f64) {
    let u = (x - MIDDLE) / (x + MIDDLE);
    let (f, f_rest) = ordered_sum(F_MIDDLE, u * polynomial::<A, 23>(u, &F));
    let (divisor, divisor_rest) = ordered_sum(2.0 * x, 1.0);
    let inverse = 1.0 / divisor;
    let quotient = f * inverse;
    let (back, back_rest) = product::<A>(quotient, divisor);
    let remainder = (f - back) - back_rest + (f_rest - quotient * divisor_rest);
    (quotient, remainder * inverse)
}

/// 1 − erf x for |x| < 0.54.
#[inline(always)]
fn central_complement<A: Arithmetic>(x: f64) -> f64 {
    let square = x * x;
    let slope = A::mul_add(polynomial::<A, 9>(square, &CENTRAL), square, SLOPE);
    A::mul_add(-x, slope, 1.0)
}

impl Unary<f64> for Erfc {
    #[inline(always)]
    fn fast<A: Arithmetic>(x: f64) -> f64 {
        let size = if x.abs() > ZERO_FROM { ZERO_FROM } else { x.abs() };
        let (quotient, quotient_rest) = scaled_complement::<A>(size);
        let (square, rest) = product::<A>(size, size);
        let tail = Reduced::new::<A>(-square).plus(-rest).times_exp::<A>(quotient, quotient_rest);
        let tail = if x < 0.0 { 2.0 - tail } else { tail };
        if size < 0.47 { central_complement::<A>(x) } else { tail }
    }
}
