//! The integer operators of core WebAssembly, as the specification has them.
//!
//! A 32-bit value is held zero-extended in 64 bits.

/// How wide an operator's operands are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    W32,
    W64,
}

impl Width {
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }

    pub(crate) const fn mask(self) -> u64 {
        match self {
            Self::W32 => u32::MAX as u64,
            Self::W64 => u64::MAX,
        }
    }

    /// The sign bit.
    pub(crate) const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }
}

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    DivS,
    DivU,
    RemS,
    RemU,
    And,
    Or,
    Xor,
    Shl,
    ShrS,
    ShrU,
    Rotl,
    Rotr,
    Eq,
    Ne,
    LtS,
    LtU,
    GtS,
    GtU,
    LeS,
    LeU,
    GeS,
    GeU,
}

impl Binary {
    /// Whether the result is 0 or 1.
    pub(crate) const fn compares(self) -> bool {
        matches!(
            self,
            Self::Eq
                | Self::Ne
                | Self::LtS
                | Self::LtU
                | Self::GtS
                | Self::GtU
                | Self::LeS
                | Self::LeU
                | Self::GeS
                | Self::GeU
        )
    }

    /// Whether it may trap.
    pub(crate) const fn divides(self) -> bool {
        matches!(self, Self::DivS | Self::DivU | Self::RemS | Self::RemU)
    }
}

/// An operator of one operand. Those without a width in their name have one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    Eqz,
    Clz,
    Ctz,
    Popcnt,
    /// Sign extension from the low 8 bits.
    Extend8S,
    Extend16S,
    /// From the low 32 bits, to 64.
    Extend32S,
    /// The low 32 bits.
    Wrap,
}

/// Why an operator has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undefined {
    DivisionByZero,
    Overflow,
}

const fn signed(width: Width, value: u64) -> i64 {
    match width {
        Width::W32 => value as u32 as i32 as i64,
        Width::W64 => value as i64,
    }
}

/// The result of an operator on two values.
pub(crate) fn binary(op: Binary, width: Width, a: u64, b: u64) -> Result<u64, Undefined> {
    let mask = width.mask();
    let bits = width.bits();
    let by = (b as u32) & (bits - 1);
    let (sa, sb) = (signed(width, a), signed(width, b));
    let result = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::DivU => a.checked_div(b).ok_or(Undefined::DivisionByZero)?,
        Binary::RemU => a.checked_rem(b).ok_or(Undefined::DivisionByZero)?,
        Binary::DivS => {
            if b == 0 {
                return Err(Undefined::DivisionByZero);
            }
            if a == width.sign() && b == mask {
                return Err(Undefined::Overflow);
            }
            (sa / sb) as u64
        }
        Binary::RemS => {
            if b == 0 {
                return Err(Undefined::DivisionByZero);
            }
            sa.wrapping_rem(sb) as u64
        }
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Shl => a << by,
        Binary::ShrU => a >> by,
        Binary::ShrS => (sa >> by) as u64,
        Binary::Rotl => match width {
            Width::W32 => u64::from((a as u32).rotate_left(by)),
            Width::W64 => a.rotate_left(by),
        },
        Binary::Rotr => match width {
            Width::W32 => u64::from((a as u32).rotate_right(by)),
            Width::W64 => a.rotate_right(by),
        },
        Binary::Eq => u64::from(a == b),
        Binary::Ne => u64::from(a != b),
        Binary::LtS => u64::from(sa < sb),
        Binary::LtU => u64::from(a < b),
        Binary::GtS => u64::from(sa > sb),
        Binary::GtU => u64::from(a > b),
        Binary::LeS => u64::from(sa <= sb),
        Binary::LeU => u64::from(a <= b),
        Binary::GeS => u64::from(sa >= sb),
        Binary::GeU => u64::from(a >= b),
    };
    Ok(result & mask)
}

/// The result of an operator on one value.
pub(crate) fn unary(op: Unary, width: Width, a: u64) -> u64 {
    let result = match op {
        Unary::Eqz => u64::from(a == 0),
        Unary::Clz => u64::from(a.leading_zeros() - (64 - width.bits())),
        Unary::Ctz => u64::from(a.trailing_zeros().min(width.bits())),
        Unary::Popcnt => u64::from(a.count_ones()),
        Unary::Extend8S => a as u8 as i8 as i64 as u64,
        Unary::Extend16S => a as u16 as i16 as i64 as u64,
        Unary::Extend32S => a as u32 as i32 as i64 as u64,
        Unary::Wrap => a & u64::from(u32::MAX),
    };
    result & width.mask()
}
