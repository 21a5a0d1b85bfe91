//! The action matrix as Cedar policies, validated against their schema when they are loaded.
//!
//! A request is built the fast way: entity ids are made once and cloned, the context is made of restricted
//! expressions, never parsed from JSON, and it is not validated again per request.

use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicySet,
    Request, Response, RestrictedExpression, Schema, ValidationMode, Validator,
};
use gotong_engine::role_matrix::{Action, AuthorizeFacts};
use gotong_engine::types::{PrivacyLevel, Relations, TokenRole};

use crate::BenchError;
use crate::inputs::{Answer, Extra};

const POLICIES: &str = include_str!("../../peers/role-matrix.cedar");
const SCHEMA: &str = include_str!("../../peers/role-matrix.cedarschema");

/// The authorizer, its policies and the ids that requests name.
#[derive(Debug)]
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    roles: Vec<EntityUid>,
    actions: Vec<EntityUid>,
    levels: Vec<EntityUid>,
}

impl Cedar {
    /// # Errors
    /// When the policies do not parse or are not valid by the schema.
    pub fn new() -> Result<Self, BenchError> {
        let schema = Schema::from_str(SCHEMA)?;
        let policies = PolicySet::from_str(POLICIES)?;
        let validation = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        if !validation.validation_passed() {
            return Err(format!("the Cedar policies are not valid: {validation}").into());
        }
        let role = EntityTypeName::from_str("Role")?;
        let action = EntityTypeName::from_str("Action")?;
        let level = EntityTypeName::from_str("Privacy")?;
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        Ok(Self {
            authorizer: Authorizer::new(),
            policies,
            // No policy looks inside an entity: all the facts are in the request.
            entities: Entities::empty(),
            roles: TokenRole::ALL
                .iter()
                .map(|each| uid(&role, each.as_str()))
                .collect(),
            actions: Action::ALL
                .iter()
                .map(|each| uid(&action, each.as_str()))
                .collect(),
            levels: PrivacyLevel::ALL
                .iter()
                .map(|each| uid(&level, each.as_str()))
                .collect(),
        })
    }

    /// The request for these facts.
    ///
    /// # Errors
    /// When Cedar refuses it.
    pub fn request(&self, facts: &AuthorizeFacts) -> Result<Request, BenchError> {
        let here = &facts.standing;
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let standing = [
            ("verified", RestrictedExpression::new_bool(here.verified)),
            ("relations", set(here.relations)),
        ];
        let pairs = standing
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter();
        let one = |name: &str, value| std::iter::once((name.to_owned(), value));
        let context = match Extra::of(facts.action) {
            Extra::None => Context::from_pairs(pairs),
            Extra::SeedAge => {
                let age = RestrictedExpression::new_long(i64::try_from(here.seed_age_ms)?);
                Context::from_pairs(pairs.chain(one("seed_age_ms", age)))
            }
            Extra::Trigger => {
                Context::from_pairs(pairs.chain(one("trigger", text(here.trigger.as_str()))))
            }
            Extra::Snapshot => {
                Context::from_pairs(pairs.chain(one("snapshot", set(facts.snapshot))))
            }
            Extra::Nomination => {
                Context::from_pairs(pairs.chain(one("nomination", text(here.nomination.as_str()))))
            }
            Extra::Approvals => {
                Context::from_pairs(pairs.chain(one("approvals", set(facts.approvals))))
            }
            Extra::Person => Context::from_pairs(
                pairs
                    .chain(one("has_pic", RestrictedExpression::new_bool(here.has_pic)))
                    .chain(one("sought", set(facts.sought)))
                    .chain(one("subject", set(facts.subject)))
                    .chain(one(
                        "subject_is_actor",
                        RestrictedExpression::new_bool(facts.subject_is_actor),
                    )),
            ),
        }?;
        Ok(Request::new(
            self.roles[here.role as usize].clone(),
            self.actions[facts.action as usize].clone(),
            self.levels[here.privacy as usize].clone(),
            context,
            None,
        )?)
    }

    /// Asks Cedar.
    pub fn decide(&self, request: &Request) -> Response {
        self.authorizer
            .is_authorized(request, &self.policies, &self.entities)
    }

    /// The answer in full: rule, reason and obligation stand in the annotations of the policy that decided.
    ///
    /// # Errors
    /// When the request is refused, a policy fails, or more than one policy permits.
    pub fn ruling(&self, facts: &AuthorizeFacts) -> Result<Answer, BenchError> {
        let response = self.decide(&self.request(facts)?);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(format!("a Cedar policy fails: {error} for {facts:?}").into());
        }
        let allowed = response.decision() == Decision::Allow;
        let mut decided = response.diagnostics().reason();
        let first = decided.next();
        if allowed && decided.next().is_some() {
            return Err(format!("more than one Cedar policy permits {facts:?}").into());
        }
        let note = |key: &str| {
            first
                .and_then(|policy| self.policies.annotation(policy, key))
                .map(str::to_owned)
        };
        Ok(Answer {
            allowed,
            rule: note("rule").unwrap_or_default(),
            reason: note("reason").unwrap_or_default(),
            obligations: note("obligation").into_iter().collect(),
        })
    }
}

fn set(relations: Relations) -> RestrictedExpression {
    RestrictedExpression::new_set(
        relations
            .names()
            .map(|name| RestrictedExpression::new_string(name.to_owned())),
    )
}
