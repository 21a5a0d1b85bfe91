//! Who counts when a gate opens: members, and those whom the role-matrix lets vote.

use std::collections::BTreeMap;

use gotong_engine::role_matrix::Action;
use gotong_engine::types::{Effect, Relations, TokenRole};

use super::store::{EligibleRow, FULL_VOTE_PERMILLE};
use crate::command::refusal::Refusal;
use crate::command::work::Work;
use crate::entities::{Entity, relations};
use crate::request::Actor;
use crate::rulings::authority;

#[derive(Debug)]
pub struct Electorate {
    /// People with a relation that is not verifikator.
    pub members: u32,
    /// Those who may vote, in the order of user ids; `transition_id` is filled in when the gate opens.
    pub rows: Vec<EligibleRow>,
}

impl Electorate {
    pub fn eligible(&self) -> u32 {
        count(self.rows.len())
    }

    pub fn weight_permille(&self) -> u32 {
        self.rows
            .iter()
            .fold(0, |sum, row| sum.saturating_add(row.weight_permille))
    }
}

/// Gathers everybody with a relation and asks the role-matrix, once for each set of relations that
/// occurs, whether such a person votes.
pub async fn gather(work: &mut Work, entity: &Entity) -> Result<Electorate, Refusal> {
    let mut people: BTreeMap<String, Relations> = BTreeMap::new();
    for row in relations::everybody(work, entity.id()).await? {
        *people.entry(row.user_id.clone()).or_default() |= row.flag();
    }
    let members = people
        .values()
        .filter(|held| !held.without(Relations::VERIFIKATOR).is_empty())
        .count();
    let mut votes: Vec<(Relations, bool)> = Vec::new();
    let mut rows = Vec::new();
    for (user_id, held) in people {
        let known = votes
            .iter()
            .find(|(set, _)| *set == held)
            .map(|(_, may)| *may);
        let may_vote = match known {
            Some(may) => may,
            None => {
                let may = may_vote(work, entity, held)?;
                votes.push((held, may));
                may
            }
        };
        if may_vote {
            let relations = held.names().map(str::to_owned).collect();
            rows.push(EligibleRow {
                transition_id: String::new(),
                user_id,
                relations,
                weight_permille: FULL_VOTE_PERMILLE,
            });
        }
    }
    Ok(Electorate {
        members: count(members),
        rows,
    })
}

fn may_vote(work: &mut Work, entity: &Entity, held: Relations) -> Result<bool, Refusal> {
    let anybody = Actor {
        user_id: String::new(),
        username: String::new(),
        role: TokenRole::User,
    };
    let matter = authority::Matter {
        relations: held,
        ..entity.matter(work.now_ms(), "")
    };
    let standing = authority::standing(&anybody, work.context.trigger, &matter);
    let facts = gotong_engine::role_matrix::AuthorizeFacts {
        snapshot: held,
        ..authority::facts(Action::TransitionVote, standing)
    };
    let given = work.rule(entity.id(), &facts)?;
    Ok(given.ruling.effect == Effect::Allow)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
