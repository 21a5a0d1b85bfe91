//! How many inputs: exact, for domains of several numbers are beyond 128 bits.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

const LIMBS: usize = 8;

/// A count below 2^512.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Count([u64; LIMBS]);

impl Count {
    /// None.
    pub const ZERO: Self = Self([0; LIMBS]);
    /// One.
    pub const ONE: Self = Self::small(1);

    const fn small(value: u64) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[0] = value;
        Self(limbs)
    }

    /// The product, if it is below 2^512.
    pub(crate) fn times(self, by: u128) -> Option<Self> {
        let low = self.times_limb(by as u64)?;
        match (by >> 64) as u64 {
            0 => Some(low),
            high => {
                let high = self.times_limb(high)?;
                if high.0[LIMBS - 1] != 0 {
                    return None;
                }
                let mut moved = [0; LIMBS];
                moved[1..].copy_from_slice(&high.0[..LIMBS - 1]);
                low.checked_add(Self(moved))
            }
        }
    }

    fn times_limb(self, by: u64) -> Option<Self> {
        let mut carry = 0_u128;
        let mut limbs = self.0;
        // Most counts take two limbs of the eight.
        let used = limbs
            .iter()
            .rposition(|limb| *limb != 0)
            .map_or(0, |top| top + 1);
        for limb in &mut limbs[..used] {
            let product = u128::from(*limb) * u128::from(by) + carry;
            carry = product >> 64;
            *limb = product as u64;
        }
        if carry != 0 {
            *limbs.get_mut(used)? = carry as u64;
        }
        Some(Self(limbs))
    }

    /// The product with another count, if it is below 2^512.
    pub(crate) fn product(self, other: Self) -> Option<Self> {
        let mut sum = Self::ZERO;
        for (index, limb) in other
            .0
            .into_iter()
            .enumerate()
            .filter(|(_, limb)| *limb != 0)
        {
            let part = self.times_limb(limb)?;
            if part.0[LIMBS - index..].iter().any(|limb| *limb != 0) {
                return None;
            }
            let mut moved = [0; LIMBS];
            moved[index..].copy_from_slice(&part.0[..LIMBS - index]);
            sum = sum.checked_add(Self(moved))?;
        }
        Some(sum)
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        let mut carry = 0_u128;
        let mut limbs = [0; LIMBS];
        for (sum, (a, b)) in limbs.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let total = u128::from(a) + u128::from(b) + carry;
            carry = total >> 64;
            *sum = total as u64;
        }
        (carry == 0).then_some(Self(limbs))
    }

    /// Quotient and remainder.
    fn divided(self, by: u64) -> (Self, u64) {
        let mut rest = 0_u128;
        let mut limbs = self.0;
        for limb in limbs.iter_mut().rev() {
            let part = rest << 64 | u128::from(*limb);
            *limb = (part / u128::from(by)) as u64;
            rest = part % u128::from(by);
        }
        (Self(limbs), rest as u64)
    }

    /// As people read it: `1985`, or rounded to `1.99e35` where it is long.
    pub fn short(&self) -> String {
        let digits = self.to_string();
        if digits.len() <= 9 {
            return digits;
        }
        let mut power = digits.len() - 1;
        // Four digits, rounded to three.
        let mut leading = (digits[..4].parse().unwrap_or(0_u32) + 5) / 10;
        if leading == 1_000 {
            (leading, power) = (100, power + 1);
        }
        format!("{}.{:02}e{power}", leading / 100, leading % 100)
    }
}

impl From<u128> for Count {
    fn from(value: u128) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[0] = value as u64;
        limbs[1] = (value >> 64) as u64;
        Self(limbs)
    }
}

impl Add for Count {
    type Output = Self;

    /// Counts are of disjoint parts of one domain, so that no sum is larger than the domain.
    fn add(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(Self([u64::MAX; LIMBS]))
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::ZERO, Add::add)
    }
}

impl PartialOrd for Count {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Count {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const GROUP: u64 = 1_000_000_000_000_000_000;
        let (mut rest, mut groups) = (*self, Vec::new());
        loop {
            let (quotient, group) = rest.divided(GROUP);
            groups.push(group);
            rest = quotient;
            if rest == Self::ZERO {
                break;
            }
        }
        let mut text = groups.pop().unwrap_or_default().to_string();
        for group in groups.into_iter().rev() {
            text.push_str(&format!("{group:018}"));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use proptest::prelude::*;

    use super::Count;

    proptest! {
        #[test]
        fn it_counts_as_u128_does(a in any::<u64>(), b in any::<u64>(), c in any::<u32>()) {
            let product = u128::from(a) * u128::from(b);
            let count = Count::from(u128::from(a)).times(u128::from(b)).unwrap();
            prop_assert_eq!(count.to_string(), product.to_string());
            prop_assert_eq!(count, Count::from(u128::from(a)).product(Count::from(u128::from(b))).unwrap());
            let sum = count + Count::from(u128::from(c));
            prop_assert_eq!(sum > count, c > 0);
        }
    }

    #[test]
    fn beyond_128_bits() {
        let large = Count::from(u128::MAX).times(u128::MAX).unwrap();
        // (2^128 - 1)^2
        assert_eq!(
            large.to_string(),
            "115792089237316195423570985008687907852589419931798687112530834793049593217025"
        );
        assert_eq!(large.short(), "1.16e77");
        for (count, short) in [
            (9_994_999_999, "9.99e9"),
            (9_995_000_000, "1.00e10"),
            (123_456_789, "123456789"),
        ] {
            assert_eq!(Count::from(count).short(), short);
        }
        assert!(
            large.product(large).is_some()
                && large.product(large).unwrap().product(large).is_none()
        );
    }
}
