//! The peers: the action matrix in Cedar, Rego and Extism, each written as its own documentation teaches, each asked
//! the questions of [`crate::inputs`].
//!
//! A peer is measured only when it gives the answers of the pinned module: [`agree`] says so or names the first
//! question where it does not.

pub mod cedar;
pub mod extism;
pub mod grown;
pub mod rego;

use gotong_engine::Module;
use gotong_engine::role_matrix::AuthorizeFacts;

use crate::BenchError;
use crate::comparison::Agreement;
use crate::inputs::Answer;

/// All peers, ready to be asked.
pub struct Peers {
    pub cedar: cedar::Cedar,
    pub rego: rego::Rego,
    pub extism: extism::Extism,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}

impl Peers {
    /// # Errors
    /// When a peer refuses its policy.
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self {
            cedar: cedar::Cedar::new()?,
            rego: rego::Rego::new()?,
            extism: extism::Extism::new()?,
        })
    }

    /// Holds every peer, in every form in which it is measured, against the native rules and the pinned module.
    ///
    /// # Errors
    /// At the first answer that differs.
    pub fn agree(
        &mut self,
        module: &Module,
        questions: &[AuthorizeFacts],
    ) -> Result<Agreement, BenchError> {
        let mut answers = Vec::with_capacity(questions.len());
        for facts in questions {
            let native = Answer::from(&crate::authorize_natively(crate::inputs::natively(facts)));
            let ruling = module
                .evaluate(facts)
                .ruling
                .ok_or("the module gave no ruling")?;
            let mut answered = vec![
                ("the pinned module", Ok(Answer::from(&ruling))),
                ("regorus (interpreter)", self.rego.interpreter.ruling(facts)),
                ("regorus (virtual machine)", self.rego.machine.ruling(facts)),
                ("Extism (reused)", self.extism.reused(facts)),
                ("Extism (fresh)", self.extism.fresh(facts)),
                ("Extism (fresh, pooled)", self.extism.fresh_pooled(facts)),
            ];
            // Cedar denies by default, without a reason: there the effect is all there is to compare.
            let cedar = self.cedar.ruling(facts);
            if native.allowed || cedar.as_ref().map_or(true, |answer| answer.allowed) {
                answered.push(("Cedar", cedar));
            }
            for (who, answer) in answered {
                let differs = match answer {
                    Ok(answer) if answer == native => continue,
                    Ok(answer) => format!("{answer:?}"),
                    Err(error) => error.to_string(),
                };
                return Err(format!(
                    "{who} answers otherwise than the rules, so nothing is measured: {differs} instead of \
                     {native:?} for {facts:?}"
                )
                .into());
            }
            answers.push(native);
        }
        Ok(Agreement {
            questions: answers.len(),
            allowed: answers.iter().filter(|answer| answer.allowed).count(),
            reasons: crate::inputs::reasons(answers.iter()),
        })
    }
}
