//! Whether two functions have the same types, structurally. Used by the load-time check, and by the build script,
//! which holds every older contract to be contained in the newest.

use wit_parser::{Function, Resolve, Type, TypeDefKind};

/// The same parameters and the same result.
pub(crate) fn same_function(
    (a, first): (&Resolve, &Function),
    (b, second): (&Resolve, &Function),
) -> bool {
    first.params.len() == second.params.len()
        && first
            .params
            .iter()
            .zip(&second.params)
            .all(|(x, y)| x.name == y.name && same_type((a, &x.ty), (b, &y.ty)))
        && match (&first.result, &second.result) {
            (None, None) => true,
            (Some(x), Some(y)) => same_type((a, x), (b, y)),
            _ => false,
        }
}

/// Structural equality of the types the contract is made of.
pub(crate) fn same_type((a, first): (&Resolve, &Type), (b, second): (&Resolve, &Type)) -> bool {
    let (Type::Id(first), Type::Id(second)) = (first, second) else {
        return match (first, second) {
            (Type::Id(id), plain) | (plain, Type::Id(id)) => {
                let resolve = if matches!(first, Type::Id(_)) { a } else { b };
                matches!(&resolve.types[*id].kind, TypeDefKind::Type(alias) if alias == plain)
            }
            _ => first == second,
        };
    };
    match (&a.types[*first].kind, &b.types[*second].kind) {
        (TypeDefKind::Type(alias), _) => same_type((a, alias), (b, &Type::Id(*second))),
        (_, TypeDefKind::Type(alias)) => same_type((a, &Type::Id(*first)), (b, alias)),
        (TypeDefKind::Record(x), TypeDefKind::Record(y)) => {
            x.fields.len() == y.fields.len()
                && x.fields
                    .iter()
                    .zip(&y.fields)
                    .all(|(x, y)| x.name == y.name && same_type((a, &x.ty), (b, &y.ty)))
        }
        (TypeDefKind::Enum(x), TypeDefKind::Enum(y)) => x
            .cases
            .iter()
            .map(|case| &case.name)
            .eq(y.cases.iter().map(|case| &case.name)),
        (TypeDefKind::Flags(x), TypeDefKind::Flags(y)) => x
            .flags
            .iter()
            .map(|flag| &flag.name)
            .eq(y.flags.iter().map(|flag| &flag.name)),
        (TypeDefKind::Option(x), TypeDefKind::Option(y))
        | (TypeDefKind::List(x), TypeDefKind::List(y)) => same_type((a, x), (b, y)),
        // The contract has no other kind; `build.rs` refuses them.
        _ => false,
    }
}
