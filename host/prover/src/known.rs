//! What is known of a value over a whole set of inputs: bits that are always set or always clear, and
//! the range it stays in.
//!
//! Every operator here is *sound*: whatever the operands are within what is known of them, the result
//! is within what is known of the result. It may know less than there is to know, never more. A test
//! holds every operator to that.

use crate::integer::{self, Binary, Unary, Width};

/// What is known of a value: `zeros` are bits that are clear, `ones` bits that are set, and it is
/// within `lo..=hi`, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) zeros: u64,
    pub(crate) ones: u64,
    pub(crate) lo: u64,
    pub(crate) hi: u64,
}

impl Known {
    /// One value.
    pub(crate) const fn exactly(value: u64) -> Self {
        Self {
            zeros: !value,
            ones: value,
            lo: value,
            hi: value,
        }
    }

    /// Anything of a width.
    pub(crate) const fn any(width: Width) -> Self {
        Self {
            zeros: !width.mask(),
            ones: 0,
            lo: 0,
            hi: width.mask(),
        }
    }

    /// Anything within bounds.
    pub(crate) const fn between(lo: u64, hi: u64) -> Self {
        Self {
            zeros: 0,
            ones: 0,
            lo,
            hi,
        }
        .tightened()
    }

    /// Anything with these bits clear and set.
    pub(crate) const fn bits(zeros: u64, ones: u64) -> Self {
        Self {
            zeros,
            ones,
            lo: 0,
            hi: u64::MAX,
        }
        .tightened()
    }

    /// The value, if there is one only.
    pub(crate) const fn value(&self) -> Option<u64> {
        if self.lo == self.hi {
            Some(self.lo)
        } else {
            None
        }
    }

    /// Whether the value may be this one.
    #[cfg(test)]
    pub(crate) const fn admits(&self, value: u64) -> bool {
        value & self.zeros == 0
            && value & self.ones == self.ones
            && self.lo <= value
            && value <= self.hi
    }

    /// Bits from the bounds, and bounds from the bits.
    const fn tightened(mut self) -> Self {
        if self.lo < self.ones {
            self.lo = self.ones;
        }
        if self.hi > !self.zeros {
            self.hi = !self.zeros;
        }
        // The leading bits that both bounds share are those of every value between them.
        let differ = self.lo ^ self.hi;
        let shared = if differ == 0 {
            u64::MAX
        } else {
            // The highest bit that differs, and all below it, are open.
            !(u64::MAX >> differ.leading_zeros())
        };
        self.ones |= self.lo & shared;
        self.zeros |= !self.lo & shared;
        self
    }

    /// One or the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            zeros: self.zeros & other.zeros,
            ones: self.ones & other.ones,
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
        }
    }

    /// What both say, of one value.
    fn and_also(self, other: Self) -> Self {
        Self {
            zeros: self.zeros | other.zeros,
            ones: self.ones | other.ones,
            lo: self.lo.max(other.lo),
            hi: self.hi.min(other.hi),
        }
        .tightened()
    }

    /// Bits `low..low + 8`.
    pub(crate) fn byte(self, index: u32) -> Self {
        let byte = binary(
            Binary::ShrU,
            Width::W64,
            self,
            Self::exactly(8 * u64::from(index)),
        );
        binary(Binary::And, Width::W64, byte, Self::exactly(0xff))
    }
}

const UNDECIDED: Known = Known {
    zeros: !1,
    ones: 0,
    lo: 0,
    hi: 1,
};

fn truth(decided: Option<bool>) -> Known {
    match decided {
        Some(holds) => Known::exactly(u64::from(holds)),
        None => UNDECIDED,
    }
}

/// What is known of an operator's result. A division by zero has no result, so that it adds nothing.
pub(crate) fn binary(op: Binary, width: Width, a: Known, b: Known) -> Known {
    if let (Some(x), Some(y)) = (a.value(), b.value()) {
        return match integer::binary(op, width, x, y) {
            Ok(result) => Known::exactly(result),
            Err(_) => Known::any(width),
        };
    }
    match op {
        Binary::And => Known {
            zeros: a.zeros | b.zeros,
            ones: a.ones & b.ones,
            lo: 0,
            hi: a.hi.min(b.hi),
        }
        .tightened(),
        Binary::Or => Known {
            zeros: a.zeros & b.zeros,
            ones: a.ones | b.ones,
            lo: a.lo.max(b.lo),
            hi: u64::MAX,
        }
        .tightened(),
        Binary::Xor => Known::bits(
            (a.zeros & b.zeros) | (a.ones & b.ones),
            (a.zeros & b.ones) | (a.ones & b.zeros),
        ),
        Binary::Add => sum(width, a, b),
        Binary::Sub => difference(width, a, b),
        Binary::Mul => product(width, a, b),
        Binary::DivU if b.lo > 0 => Known::between(a.lo / b.hi, a.hi / b.lo),
        Binary::RemU if b.lo > 0 && a.hi < b.lo => a,
        Binary::RemU if b.hi > 0 => Known::between(0, a.hi.min(b.hi - 1)),
        Binary::Shl | Binary::ShrU | Binary::ShrS | Binary::Rotl | Binary::Rotr => {
            shift(op, width, a, b)
        }
        Binary::Eq => truth(equal(a, b)),
        Binary::Ne => truth(equal(a, b).map(|equal| !equal)),
        Binary::LtU => truth(less(a, b)),
        Binary::GtU => truth(less(b, a)),
        Binary::LeU => truth(less(b, a).map(|less| !less)),
        Binary::GeU => truth(less(a, b).map(|less| !less)),
        Binary::LtS => truth(less(biased(width, a), biased(width, b))),
        Binary::GtS => truth(less(biased(width, b), biased(width, a))),
        Binary::LeS => truth(less(biased(width, b), biased(width, a)).map(|less| !less)),
        Binary::GeS => truth(less(biased(width, a), biased(width, b)).map(|less| !less)),
        Binary::DivU | Binary::RemU | Binary::DivS | Binary::RemS => Known::any(width),
    }
}

/// What is known of an operator's result.
pub(crate) fn unary(op: Unary, width: Width, a: Known) -> Known {
    if let Some(value) = a.value() {
        return Known::exactly(integer::unary(op, width, value));
    }
    let bits = u64::from(width.bits());
    match op {
        Unary::Eqz => {
            if a.lo > 0 {
                Known::exactly(0)
            } else {
                UNDECIDED
            }
        }
        Unary::Clz => Known::between(
            integer::unary(op, width, a.hi),
            integer::unary(op, width, a.lo),
        ),
        Unary::Ctz => {
            let most = if a.ones == 0 {
                bits
            } else {
                u64::from(a.ones.trailing_zeros())
            };
            Known::between(u64::from((!a.zeros).trailing_zeros()).min(most), most)
        }
        Unary::Popcnt => Known::between(
            u64::from(a.ones.count_ones()),
            u64::from((!a.zeros).count_ones()),
        ),
        Unary::Extend8S => extended(width, a, 0xff),
        Unary::Extend16S => extended(width, a, 0xffff),
        Unary::Extend32S => extended(width, a, 0xffff_ffff),
        Unary::Wrap => binary(
            Binary::And,
            Width::W64,
            a,
            Known::exactly(u64::from(u32::MAX)),
        ),
    }
}

fn equal(a: Known, b: Known) -> Option<bool> {
    let apart = a.hi < b.lo || b.hi < a.lo || a.ones & b.zeros != 0 || a.zeros & b.ones != 0;
    apart.then_some(false)
}

fn less(a: Known, b: Known) -> Option<bool> {
    if a.hi < b.lo {
        Some(true)
    } else if a.lo >= b.hi {
        Some(false)
    } else {
        None
    }
}

/// In the order of signed numbers, as unsigned ones.
fn biased(width: Width, a: Known) -> Known {
    let sign = width.sign();
    if (a.lo & sign) == (a.hi & sign) {
        Known {
            zeros: 0,
            ones: 0,
            lo: a.lo ^ sign,
            hi: a.hi ^ sign,
        }
    } else {
        Known {
            zeros: 0,
            ones: 0,
            lo: 0,
            hi: width.mask(),
        }
    }
}

/// Bits of a sum: where the carry is known too (Warren, Hacker's Delight; LLVM's `KnownBits` does the same).
fn sum_bits(width: Width, a: Known, b: Known, carry: bool) -> Known {
    let carry = u64::from(carry);
    let most = (!a.zeros).wrapping_add(!b.zeros).wrapping_add(carry);
    let least = a.ones.wrapping_add(b.ones).wrapping_add(carry);
    let carry_clear = !(most ^ a.zeros ^ b.zeros);
    let carry_set = least ^ a.ones ^ b.ones;
    let known = (a.zeros | a.ones) & (b.zeros | b.ones) & (carry_clear | carry_set);
    let mask = width.mask();
    Known::bits((!most & known & mask) | !mask, least & known & mask)
}

fn sum(width: Width, a: Known, b: Known) -> Known {
    let modulus = 1_u128 << width.bits();
    let lo = u128::from(a.lo) + u128::from(b.lo);
    let hi = u128::from(a.hi) + u128::from(b.hi);
    let bits = sum_bits(width, a, b, false);
    wrapped(lo, hi, modulus).map_or(bits, |range| range.and_also(bits))
}

fn difference(width: Width, a: Known, b: Known) -> Known {
    let modulus = 1_u128 << width.bits();
    let lo = modulus + u128::from(a.lo) - u128::from(b.hi);
    let hi = modulus + u128::from(a.hi) - u128::from(b.lo);
    let mask = width.mask();
    let inverted = Known {
        zeros: (b.ones & mask) | !mask,
        ones: b.zeros & mask,
        lo: 0,
        hi: mask,
    };
    let bits = sum_bits(width, a, inverted, true);
    wrapped(lo, hi, modulus).map_or(bits, |range| range.and_also(bits))
}

/// The range modulo a power of two, where all of it wraps as often.
fn wrapped(lo: u128, hi: u128, modulus: u128) -> Option<Known> {
    (lo / modulus == hi / modulus)
        .then(|| Known::between((lo % modulus) as u64, (hi % modulus) as u64))
}

fn product(width: Width, a: Known, b: Known) -> Known {
    let hi = u128::from(a.hi) * u128::from(b.hi);
    let zeros = (!a.zeros).trailing_zeros() + (!b.zeros).trailing_zeros();
    let low_zeros = if zeros >= 64 {
        u64::MAX
    } else {
        (1 << zeros) - 1
    };
    let bits = Known::bits(low_zeros | !width.mask(), 0);
    if hi <= u128::from(width.mask()) {
        Known::between(a.lo * b.lo, hi as u64).and_also(bits)
    } else {
        bits
    }
}

fn shift(op: Binary, width: Width, a: Known, b: Known) -> Known {
    let bits = width.bits();
    let by = binary(Binary::And, width, b, Known::exactly(u64::from(bits - 1)));
    let by_one = |by: u64| shift_by(op, width, a, by as u32);
    // At most 64 amounts; each of them may be it.
    let mut amounts =
        (by.lo..=by.hi).filter(|amount| amount & by.zeros == 0 && amount & by.ones == by.ones);
    match amounts.next() {
        Some(first) => amounts.fold(by_one(first), |known, amount| known.or(by_one(amount))),
        None => Known::any(width),
    }
}

fn shift_by(op: Binary, width: Width, a: Known, by: u32) -> Known {
    let (mask, bits) = (width.mask(), width.bits());
    if let Some(value) = a.value() {
        return match integer::binary(op, width, value, u64::from(by)) {
            Ok(result) => Known::exactly(result),
            Err(_) => Known::any(width),
        };
    }
    if by == 0 {
        return a;
    }
    match op {
        Binary::Shl => {
            let zeros = (a.zeros << by) | ((1 << by) - 1) | !mask;
            let known = Known::bits(zeros, (a.ones << by) & mask);
            if a.hi <= mask >> by {
                known.and_also(Known::between(a.lo << by, a.hi << by))
            } else {
                known
            }
        }
        Binary::ShrU => Known::bits((a.zeros >> by) | !(mask >> by), a.ones >> by)
            .and_also(Known::between(a.lo >> by, a.hi >> by)),
        Binary::ShrS if a.hi < width.sign() => shift_by(Binary::ShrU, width, a, by),
        Binary::Rotl | Binary::Rotr => {
            let left = if op == Binary::Rotl { by } else { bits - by };
            let turn = |word: u64| ((word << left) | (word >> (bits - left))) & mask;
            Known::bits(turn(a.zeros & mask) | !mask, turn(a.ones))
        }
        _ => Known::any(width),
    }
}

/// Sign extension from the bits of `low`.
fn extended(width: Width, a: Known, low: u64) -> Known {
    let sign = (low >> 1) + 1;
    let part = binary(Binary::And, Width::W64, a, Known::exactly(low));
    if a.zeros & sign != 0 {
        part
    } else if a.ones & sign != 0 {
        Known::bits(
            (part.zeros & low) | !width.mask(),
            part.ones | (width.mask() & !low),
        )
    } else {
        Known::bits(
            (part.zeros & (low >> 1)) | !width.mask(),
            part.ones & (low >> 1),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const BINARY: [Binary; 25] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::DivS,
        Binary::DivU,
        Binary::RemS,
        Binary::RemU,
        Binary::And,
        Binary::Or,
        Binary::Xor,
        Binary::Shl,
        Binary::ShrS,
        Binary::ShrU,
        Binary::Rotl,
        Binary::Rotr,
        Binary::Eq,
        Binary::Ne,
        Binary::LtS,
        Binary::LtU,
        Binary::GtS,
        Binary::GtU,
        Binary::LeS,
        Binary::LeU,
        Binary::GeS,
        Binary::GeU,
    ];
    const UNARY: [Unary; 8] = [
        Unary::Eqz,
        Unary::Clz,
        Unary::Ctz,
        Unary::Popcnt,
        Unary::Extend8S,
        Unary::Extend16S,
        Unary::Extend32S,
        Unary::Wrap,
    ];

    /// Values near each other, near zero, near the ends, and anywhere.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![
            0_u64..40,
            any::<u64>(),
            any::<u8>().prop_map(|low| u64::MAX - u64::from(low)),
            any::<u8>().prop_map(|low| (1 << 31) - 128 + u64::from(low)),
            (0_u32..64).prop_map(|bit| 1 << bit),
        ]
    }

    /// Something known, and a value it admits.
    fn known(width: Width) -> impl Strategy<Value = (Known, u64)> {
        (number(), number(), number(), any::<u8>()).prop_map(move |(value, other, mask, shape)| {
            let (value, other) = (value & width.mask(), other & width.mask());
            let range = Known::between(value.min(other), value.max(other));
            let bits = Known::bits(!value & (mask | !width.mask()), value & mask);
            let known = match shape % 4 {
                0 => range,
                1 => bits,
                2 => range.and_also(bits),
                _ => Known::exactly(value),
            };
            (known, value)
        })
    }

    fn width() -> impl Strategy<Value = Width> {
        select(vec![Width::W32, Width::W64])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_known_admits_every_result(
            (width, a, b) in width().prop_flat_map(|width| (Just(width), known(width), known(width))),
            op in select(BINARY.to_vec()),
            one in select(UNARY.to_vec()),
        ) {
            prop_assert!(a.0.admits(a.1));
            if let Ok(result) = integer::binary(op, width, a.1, b.1) {
                let known = binary(op, width, a.0, b.0);
                prop_assert!(known.admits(result), "{op:?} {width:?} {a:x?} {b:x?}: {result:x} in {known:x?}");
            }
            let result = integer::unary(one, width, a.1);
            let known = unary(one, width, a.0);
            prop_assert!(known.admits(result), "{one:?} {width:?} {a:x?}: {result:x} in {known:x?}");
            prop_assert!(a.0.or(b.0).admits(a.1) && a.0.or(b.0).admits(b.1));
        }
    }
}
