//! The types of a policy's questions and answers, and how the canonical ABI lays them out in memory.

use wit_parser::{Resolve, Type as WitType, TypeDefKind};

use crate::error::ProveError;

/// A type of the contract. Names are as JSON has them, in snake_case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `false` or `true`.
    Bool,
    /// An unsigned integer of so many bytes.
    Unsigned(u32),
    /// A text.
    String,
    /// One of a closed set of words.
    Enum(Vec<String>),
    /// Any of a closed set of words.
    Flags(Vec<String>),
    /// A value or none.
    Option(Box<Type>),
    /// Any number of values.
    List(Box<Type>),
    /// Named fields.
    Record(Vec<(String, Type)>),
}

/// `kebab-case` as JSON has it.
pub(crate) fn snake(kebab: &str) -> String {
    kebab.replace('-', "_")
}

impl Type {
    pub(crate) fn of(resolve: &Resolve, ty: &WitType) -> Result<Self, ProveError> {
        let id = match ty {
            WitType::Bool => return Ok(Self::Bool),
            WitType::U8 => return Ok(Self::Unsigned(1)),
            WitType::U16 => return Ok(Self::Unsigned(2)),
            WitType::U32 => return Ok(Self::Unsigned(4)),
            WitType::U64 => return Ok(Self::Unsigned(8)),
            WitType::String => return Ok(Self::String),
            WitType::Id(id) => *id,
            other => return Err(ProveError::Type(format!("{other:?}").to_lowercase())),
        };
        Ok(match &resolve.types[id].kind {
            TypeDefKind::Type(alias) => Self::of(resolve, alias)?,
            TypeDefKind::Record(record) => Self::Record(
                record
                    .fields
                    .iter()
                    .map(|field| Ok((snake(&field.name), Self::of(resolve, &field.ty)?)))
                    .collect::<Result<_, ProveError>>()?,
            ),
            TypeDefKind::Enum(item) if item.cases.len() <= 64 => {
                Self::Enum(item.cases.iter().map(|case| snake(&case.name)).collect())
            }
            TypeDefKind::Flags(item) if item.flags.len() <= 32 => {
                Self::Flags(item.flags.iter().map(|flag| snake(&flag.name)).collect())
            }
            TypeDefKind::Option(inner) => Self::Option(Box::new(Self::of(resolve, inner)?)),
            TypeDefKind::List(inner) => Self::List(Box::new(Self::of(resolve, inner)?)),
            other => return Err(ProveError::Type(other.as_str().to_owned())),
        })
    }

    pub(crate) fn size(&self) -> u32 {
        match self {
            Self::Bool | Self::Enum(_) => 1,
            Self::Unsigned(bytes) => *bytes,
            Self::String | Self::List(_) => 8,
            Self::Flags(words) => match words.len() {
                0..=8 => 1,
                9..=16 => 2,
                _ => 4,
            },
            Self::Option(inner) => {
                align(align(1, inner.alignment()) + inner.size(), self.alignment())
            }
            Self::Record(fields) => align(
                fields
                    .iter()
                    .fold(0, |at, (_, ty)| align(at, ty.alignment()) + ty.size()),
                self.alignment(),
            ),
        }
    }

    pub(crate) fn alignment(&self) -> u32 {
        match self {
            Self::Bool | Self::Enum(_) => 1,
            Self::Unsigned(bytes) => *bytes,
            Self::String | Self::List(_) => 4,
            Self::Flags(_) => self.size(),
            Self::Option(inner) => inner.alignment(),
            Self::Record(fields) => fields
                .iter()
                .map(|(_, ty)| ty.alignment())
                .max()
                .unwrap_or(1),
        }
    }

    /// How many core values it is flattened to.
    pub(crate) fn flat(&self) -> usize {
        match self {
            Self::Bool | Self::Enum(_) | Self::Unsigned(_) | Self::Flags(_) => 1,
            Self::String | Self::List(_) => 2,
            Self::Option(inner) => 1 + inner.flat(),
            Self::Record(fields) => fields.iter().map(|(_, ty)| ty.flat()).sum(),
        }
    }
}

/// The next multiple of `to`.
pub(crate) const fn align(at: u32, to: u32) -> u32 {
    at.div_ceil(to) * to
}
