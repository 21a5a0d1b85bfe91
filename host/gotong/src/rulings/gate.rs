//! What the gate policy says of the tracks themselves, for services that lay them out.

use gotong_engine::gate::{StageDoc, StagesFacts};
use gotong_engine::types::{Stage, Track};

use super::peek;
use crate::app::App;
use crate::command::refusal::Refusal;

/// The stages of a track in order. A table of the module, not a ruling on a matter: no record.
pub fn stages(app: &App, track: Track) -> Result<Vec<StageDoc>, Refusal> {
    peek(app, &StagesFacts { track })
}

/// The track that `stage` is meant on: the entity's own when it has that stage, else the one that alone has it,
/// else the entity's own, for the policy to refuse.
pub fn track_of(app: &App, own: Track, stage: Stage) -> Result<Track, Refusal> {
    let mut elsewhere = Vec::new();
    for track in Track::ALL {
        if stages(app, *track)?.iter().any(|doc| doc.stage == stage) {
            if *track == own {
                return Ok(own);
            }
            elsewhere.push(*track);
        }
    }
    Ok(match elsewhere[..] {
        [only] => only,
        _ => own,
    })
}
