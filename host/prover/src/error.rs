//! Why a module cannot be proved anything about.

impl ProveError {
    /// The file is no policy module, told on one line.
    pub(crate) fn not_a_module(message: &str) -> Self {
        let lines: Vec<&str> = message.lines().map(str::trim).collect();
        Self::NotAModule(lines.join(" "))
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The file is no policy module.
    #[error("it is no policy module: {0}")]
    NotAModule(String),
    /// A component whose parts are put together otherwise than `gotong policy build` does.
    #[error(
        "its parts are put together in a way that is not followed: {0}; build it with `gotong policy build`"
    )]
    Wiring(String),
    /// The contract has a type that this crate does not know.
    #[error("a question of it has the type `{0}`, which is not supported")]
    Type(String),
    /// Two modules of two families.
    #[error("the two answer different questions: `{a}` and `{b}`")]
    Families {
        /// What the first answers.
        a: String,
        /// What the second answers.
        b: String,
    },
    /// A function that takes what there is no end of.
    #[error(
        "`{function}` is not provable: its fact `{field}` is {what}, and there is no end of those"
    )]
    Endless {
        /// The function.
        function: String,
        /// The fact.
        field: String,
        /// What it is.
        what: &'static str,
    },
    /// A question that is too large to count.
    #[error("`{function}` is not provable: it has more inputs than 2^512 or more than 128 facts")]
    TooLarge {
        /// The function.
        function: String,
    },
    /// A number that is used in arithmetic, not only compared with constants.
    #[error(
        "`{function}` is not provable: it computes with {fields} instead of comparing with constants (function {code} of the code, {operator})"
    )]
    Arithmetic {
        /// The function.
        function: String,
        /// The numbers.
        fields: String,
        /// The index of the core function.
        code: u32,
        /// What needs the value.
        operator: &'static str,
    },
    /// A property of a number that is a formula.
    #[error(
        "`{property}` is not provable: `{function}` computes the number it asks for from numbers of the facts"
    )]
    Formula {
        /// The function.
        function: String,
        /// The property.
        property: String,
    },
    /// An instruction that the interpreter does not have.
    #[error(
        "`{function}` is not provable: it uses `{operator}` (function {code} of the code), and only integers are followed"
    )]
    Unsupported {
        /// The function.
        function: String,
        /// The instruction.
        operator: String,
        /// The index of the core function.
        code: u32,
    },
    /// Too many cases.
    #[error("`{function}` is not provable: more than {limit} cases have to be told apart")]
    TooManyCases {
        /// The function.
        function: String,
        /// The limit.
        limit: usize,
    },
    /// Recursion without a clear end.
    #[error(
        "`{function}` is not provable: calls are nested deeper than {limit} (function {code} of the code)"
    )]
    TooDeep {
        /// The function.
        function: String,
        /// The limit.
        limit: usize,
        /// The index of the core function.
        code: u32,
    },
    /// No function of that name.
    #[error("the family has no function `{function}`: expected one of {expected}")]
    NoFunction {
        /// What was asked for.
        function: String,
        /// What there is.
        expected: String,
    },
    /// A worker thread failed, which is a bug here.
    #[error("the prover itself failed: {0}")]
    Internal(String),
}
