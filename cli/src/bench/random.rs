//! Random numbers: fast, seeded, the same in every run.

/// Scatters a number over all 64 bits (the finaliser of splitmix64); different numbers stay different.
#[inline]
pub(super) fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Brings a number that is spread over all 64 bits below `bound`, which is not 0.
#[inline]
pub(super) fn scale(number: u64, bound: u64) -> u64 {
    ((u128::from(number) * u128::from(bound)) >> 64) as u64
}

/// splitmix64: good enough to draw keys, and one multiplication deep.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `bound`, which is not 0. The bias is below `bound / 2^64`.
    #[inline]
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }

    /// From 0 up to, not including, 1.
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Draws `k` from 1 to `n` with a probability proportional to `1 / k^s`, in constant time and without a table.
///
/// Rejection-inversion (Hörmann and Derflinger, 1996): draw below the curve `x^-s`, whose integral and inverse are
/// known, round to a whole number, and reject what rounding added too much. More than nine in ten are accepted.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    n: u64,
    s: f64,
    /// The integral up to where the first number's share begins and the last one's ends.
    low: f64,
    high: f64,
    /// A number this close above its `x` is accepted without a look at the curve.
    near: f64,
}

impl Zipf {
    pub(super) fn new(n: u64, s: f64) -> Self {
        let mut zipf = Self {
            n,
            s,
            low: 0.0,
            high: 0.0,
            near: 0.0,
        };
        zipf.low = zipf.integral(1.5) - 1.0;
        zipf.high = zipf.integral(n as f64 + 0.5);
        zipf.near = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.curve(2.0));
        zipf
    }

    pub(super) fn sample(&self, random: &mut Random) -> u64 {
        loop {
            let area = self.high + random.unit() * (self.low - self.high);
            let x = self.inverse(area);
            let k = (x + 0.5).clamp(1.0, self.n as f64).floor();
            if k - x <= self.near || area >= self.integral(k + 0.5) - self.curve(k) {
                return k as u64;
            }
        }
    }

    fn curve(&self, x: f64) -> f64 {
        x.powf(-self.s)
    }

    /// `∫ t^-s dt` from 1 to `x`.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        let power = (1.0 - self.s) * log;
        // Near s = 1 the quotient tends to the logarithm.
        if power.abs() > 1e-8 {
            power.exp_m1() / (1.0 - self.s)
        } else {
            log
        }
    }

    fn inverse(&self, area: f64) -> f64 {
        let product = area * (1.0 - self.s);
        // Rounding may have pushed it past the pole.
        let log = if product.abs() > 1e-8 {
            product.max(-1.0).ln_1p() / (1.0 - self.s)
        } else {
            area
        };
        log.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_draws_each_number_as_often_as_its_share() {
        const DRAWS: usize = 200_000;
        for s in [0.0, 0.5, 0.99, 1.0, 1.3, 2.0] {
            for n in [1u64, 2, 10, 1000] {
                let zipf = Zipf::new(n, s);
                let mut random = Random::new(7);
                let mut counts = vec![0usize; n as usize];
                for _ in 0..DRAWS {
                    counts[zipf.sample(&mut random) as usize - 1] += 1;
                }
                let all: f64 = (1..=n).map(|k| (k as f64).powf(-s)).sum();
                for k in 1..=n {
                    let share = (k as f64).powf(-s) / all;
                    let expected = share * DRAWS as f64;
                    let deviation = (counts[k as usize - 1] as f64 - expected).abs();
                    // Five standard deviations, and room for the few draws of rare numbers.
                    assert!(
                        deviation <= 5.0 * expected.sqrt() + 6.0,
                        "s={s} n={n} k={k}: {deviation} from {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut random = Random::new(3);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[random.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.below(1), 0);
    }
}
