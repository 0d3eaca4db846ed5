//! Statistics of draws: what tells a sample from the distribution that it should have.

/// A share of `count` draws that has probability `p` lies within five standard deviations of it.
pub fn assert_share(what: &str, hits: f64, count: f64, p: f64) {
    let deviation = (count * p * (1.0 - p)).sqrt();
    assert!((hits - count * p).abs() < 5.0 * deviation, "{what}: {hits} of {count}, expected a share of {p}");
}

/// A mean of `count` draws lies within five standard deviations of what it should be.
pub fn assert_mean(what: &str, got: f64, count: f64, expected: f64, variance: f64) {
    let deviation = (variance / count).sqrt();
    assert!((got - expected).abs() < 5.0 * deviation, "{what}: {got}, not {expected} ± {deviation}");
}

/// The largest distance of the empirical distribution function from the true one (Kolmogorov and Smirnov), times √n, of what
/// the true one makes of the draws.
pub fn kolmogorov(mut probabilities: Vec<f64>) -> f64 {
    let n = probabilities.len() as f64;
    probabilities.sort_by(f64::total_cmp);
    let distance = probabilities.iter().enumerate().map(|(i, x)| {
        let (below, up_to) = (i as f64 / n, (i + 1) as f64 / n);
        (x - below).abs().max((up_to - x).abs())
    });
    distance.fold(0.0, f64::max) * n.sqrt()
}

/// χ² of counts lies within five standard deviations of its mean, the degrees of freedom.
pub fn assert_chi_square(what: &str, observed: &[f64], expected: &[f64]) {
    assert!(
        expected.iter().all(|&expected| expected >= 10.0) && observed.len() == expected.len() && expected.len() > 1
    );
    let chi: f64 = observed.iter().zip(expected).map(|(o, e)| (o - e).powi(2) / e).sum();
    let freedom = (expected.len() - 1) as f64;
    assert!((chi - freedom).abs() < 5.0 * (2.0 * freedom).sqrt().max(2.0), "{what}: χ² is {chi} in {freedom} degrees");
}
