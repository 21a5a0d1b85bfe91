//! What the facts and rulings of the contract look like in JSON, read from the contract itself: for programs
//! that change facts without knowing their Rust types.

use wit_parser::{Resolve, Type, TypeDefKind, WorldItem};

use crate::check::contract::versions;
use crate::contract::Family;

/// The type of a value. Words are `snake_case`, as JSON has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Integer,
    Text,
    /// One of these words.
    Word(Vec<String>),
    /// Some of these words, in this order.
    Words(Vec<String>),
    Option(Box<Shape>),
    List(Box<Shape>),
    Record(Vec<(String, Shape)>),
}

/// The facts that a function takes and the ruling it gives; `None` when the contract knows no such function.
pub(crate) fn of(family: Family, function: &str) -> Option<(Shape, Shape)> {
    // The newest: the host's own types, which hold everything that older versions know.
    let version = versions().ok()?.last()?;
    let (contract, interface) = (&version.resolve, family.interface_of(version.abi));
    let (_, world) = contract
        .worlds
        .iter()
        .find(|(_, world)| world.name == family.world())?;
    let kebab = function.replace('_', "-");
    let function = world.exports.values().find_map(|item| match item {
        WorldItem::Interface { id, .. } if contract.id_of(*id).as_ref() == Some(&interface) => {
            contract.interfaces[*id].functions.get(kebab.as_str())
        }
        _ => None,
    })?;
    let facts = shape(contract, &function.params.first()?.ty)?;
    let ruling = shape(contract, function.result.as_ref()?)?;
    Some((facts, ruling))
}

fn shape(contract: &Resolve, ty: &Type) -> Option<Shape> {
    let id = match ty {
        Type::Bool => return Some(Shape::Bool),
        Type::String => return Some(Shape::Text),
        Type::Id(id) => *id,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => return Some(Shape::Integer),
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => return Some(Shape::Integer),
        _ => return None,
    };
    let snake = |name: &str| name.replace('-', "_");
    match &contract.types[id].kind {
        TypeDefKind::Type(alias) => shape(contract, alias),
        TypeDefKind::Enum(item) => Some(Shape::Word(
            item.cases.iter().map(|case| snake(&case.name)).collect(),
        )),
        TypeDefKind::Flags(item) => Some(Shape::Words(
            item.flags.iter().map(|flag| snake(&flag.name)).collect(),
        )),
        TypeDefKind::Option(inner) => Some(Shape::Option(Box::new(shape(contract, inner)?))),
        TypeDefKind::List(inner) => Some(Shape::List(Box::new(shape(contract, inner)?))),
        TypeDefKind::Record(item) => item
            .fields
            .iter()
            .map(|field| Some((snake(&field.name), shape(contract, &field.ty)?)))
            .collect::<Option<_>>()
            .map(Shape::Record),
        _ => None,
    }
}

impl Shape {
    /// The field that says what was decided: the first one that is a closed choice. `effect` where a family
    /// allows and denies; `outcome`, `visible`, `action` and others elsewhere.
    pub(crate) fn verdict_field(&self) -> Option<&str> {
        match self {
            Self::Record(fields) => fields
                .iter()
                .find(|(_, shape)| matches!(shape, Self::Word(_) | Self::Bool))
                .map(|(name, _)| name.as_str()),
            Self::List(item) => item.verdict_field(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_every_family_has_a_shape() {
        for family in Family::ALL {
            for function in family.functions() {
                let (facts, _) = of(*family, function).unwrap();
                assert!(matches!(facts, Shape::Record(_)), "{family}.{function}");
            }
        }
        assert_eq!(of(Family::Gate, "guess"), None);
    }

    #[test]
    fn the_verdict_is_the_first_closed_choice_of_a_ruling() {
        let verdict = |family, function| of(family, function)?.1.verdict_field().map(str::to_owned);
        assert_eq!(verdict(Family::Gate, "plan").as_deref(), Some("effect"));
        assert_eq!(verdict(Family::Gate, "close").as_deref(), Some("outcome"));
        assert_eq!(
            verdict(Family::RoleMatrix, "project").as_deref(),
            Some("visible")
        );
        assert_eq!(verdict(Family::RoleMatrix, "permitted"), None);
    }
}
