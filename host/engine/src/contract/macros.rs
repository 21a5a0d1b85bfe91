//! What becomes of a WIT enum, flags, record and world in Rust. `bindgen!` is not used because it
//! cannot give its types serde names, and the API, the ledger and the decisions speak these words.

/// An enum: a closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident $kebab:tt $snake:tt;)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize,
            ::wasmtime::component::ComponentType, ::wasmtime::component::Lift, ::wasmtime::component::Lower,
        )]
        #[cfg_attr(feature = "openapi", derive(::utoipa::ToSchema))]
        #[component(enum)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$case_doc])* #[component(name = $kebab)] #[serde(rename = $snake)] $case,)*
        }

        impl $name {
            /// Every word, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$case),*];

            /// The word as the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$case => $snake,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::contract::UnknownWordError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word).ok_or_else(|| {
                    $crate::contract::UnknownWordError {
                        set: stringify!($name),
                        word: word.to_owned(),
                        expected: Self::ALL.iter().map(|each| each.as_str()).collect(),
                    }
                })
            }
        }
    };
}

/// Flags: a set of words. In JSON an array of names in the order of the contract.
macro_rules! flag_words {
    ($(#[$doc:meta])* $name:ident in $inner:ident { $($flag:ident $kebab:tt $snake:tt;)* }) => {
        // The macro takes no attributes, so its constants cannot carry docs.
        #[allow(missing_docs)]
        mod $inner {
            ::wasmtime::component::flags! { $name { $(#[component(name = $kebab)] const $flag;)* } }
        }
        $(#[$doc])*
        pub use $inner::$name;

        impl $name {
            /// Every single flag, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$flag),*];

            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$flag, $snake)),*];

            /// The single flags that are set, in the order of the contract.
            pub fn iter(self) -> impl Iterator<Item = Self> {
                Self::ALL.iter().copied().filter(move |flag| self.contains(*flag))
            }

            /// The names of the flags that are set, in the order of the contract.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::WORDS.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, word)| *word)
            }

            /// The name of a single flag; `None` for no flag or several.
            pub fn as_str(self) -> Option<&'static str> {
                Self::WORDS.iter().find(|(flag, _)| *flag == self).map(|(_, word)| *word)
            }

            /// Whether no flag is set.
            pub fn is_empty(self) -> bool {
                self == Self::empty()
            }

            /// These flags without those of `other`.
            #[must_use]
            pub fn without(self, other: Self) -> Self {
                self & !other
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::contract::UnknownWordError;

            /// One flag by its name.
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::WORDS.iter().find(|(_, each)| *each == word).map(|(flag, _)| *flag).ok_or_else(|| {
                    $crate::contract::UnknownWordError {
                        set: stringify!($name),
                        word: word.to_owned(),
                        expected: Self::WORDS.iter().map(|(_, each)| *each).collect(),
                    }
                })
            }
        }

        impl ::std::iter::FromIterator<$name> for $name {
            fn from_iter<I: IntoIterator<Item = Self>>(flags: I) -> Self {
                flags.into_iter().fold(Self::empty(), |all, flag| all | flag)
            }
        }

        impl ::std::hash::Hash for $name {
            fn hash<H: ::std::hash::Hasher>(&self, state: &mut H) {
                // By the known flags alone, as equality is: there are at most 32.
                let bits = Self::ALL.iter().enumerate().fold(0_u32, |bits, (place, flag)| {
                    bits | (u32::from(self.contains(*flag)) << place)
                });
                state.write_u32(bits);
            }
        }

        #[cfg(feature = "openapi")]
        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                $crate::contract::schema::set_of(Self::WORDS.iter().map(|(_, word)| *word))
            }
        }

        #[cfg(feature = "openapi")]
        impl ::utoipa::ToSchema for $name {
            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.names())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let words = Vec::<String>::deserialize(deserializer)?;
                words.iter().map(|word| word.parse().map_err(::serde::de::Error::custom)).collect()
            }
        }
    };
}

/// A record. Unknown fields are refused.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, Hash,
            ::serde::Serialize, ::serde::Deserialize,
            ::wasmtime::component::ComponentType, ::wasmtime::component::Lift, ::wasmtime::component::Lower,
        )]
        #[cfg_attr(feature = "openapi", derive(::utoipa::ToSchema))]
        #[component(record)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$meta])* pub $field: $type,)* }
    };
}

/// The families: one for each world, with its questions.
macro_rules! families {
    ($(
        $(#[$doc:meta])* $family:ident $name:tt $world:tt $interface:tt {
            $($(#[$question_doc:meta])* $index:literal $function:tt ($facts:ty) ($ruling:ty);)*
        }
    )*) => {
        /// A question the host asks; a module answers it.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize,
        )]
        #[cfg_attr(feature = "openapi", derive(::utoipa::ToSchema))]
        pub enum Family { $($(#[$doc])* #[serde(rename = $name)] $family,)* }

        impl Family {
            /// Every family this host asks.
            pub const ALL: &'static [Self] = &[$(Self::$family),*];

            /// The name in the lock and in decisions, as the contract writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$family => $name,)* }
            }

            /// The world a module of this family is built for.
            pub const fn world(self) -> &'static str {
                match self { $(Self::$family => $world,)* }
            }

            /// The interface a module of this family exports, without its version.
            pub const fn interface(self) -> &'static str {
                match self { $(Self::$family => $interface,)* }
            }

            /// The full name of that interface in one version of the contract.
            pub(crate) fn interface_of(self, abi: &str) -> String {
                let version = abi.rsplit_once('@').map_or("", |(_, version)| version);
                format!("{}@{version}", self.interface())
            }

            /// The questions of this family, `describe` not among them.
            pub const fn functions(self) -> &'static [&'static str] {
                match self { $(Self::$family => &[$($function),*],)* }
            }
        }

        impl ::std::fmt::Display for Family {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for Family {
            type Err = UnknownWordError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word).ok_or_else(|| UnknownWordError {
                    set: "family",
                    word: word.to_owned(),
                    expected: Self::ALL.iter().map(|each| each.as_str()).collect(),
                })
            }
        }

        $($(
            $(#[$question_doc])*
            impl $crate::question::Question for $facts {
                const FAMILY: Family = Family::$family;
                const FUNCTION: &'static str = $function;
                const INDEX: usize = $index;
                type Ruling = $ruling;
            }
        )*)*

        /// Runs `visitor` with the type of the facts that `function` of `family` takes.
        pub(crate) fn visit<V: $crate::question::Visitor>(family: Family, function: &str, visitor: V) -> Option<V::Output> {
            match (family, function) {
                $($((Family::$family, $function) => Some(visitor.visit::<$facts>()),)*)*
                _ => None,
            }
        }
    };
}

pub(crate) use {families, flag_words, record, words};
