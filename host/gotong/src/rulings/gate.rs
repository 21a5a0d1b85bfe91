//! The tracks as the gate policies lay them out. Asked for once, at start: a table of each module, not a ruling on a
//! matter.

use gotong_engine::gate::{StageDoc, StagesFacts};
use gotong_engine::types::{Stage, Track};
use gotong_engine::{Digest, Family, Mode, Module, Outcome, Policies};

/// The stages of every track, in order.
#[derive(Clone, Debug)]
pub struct Tracks(Vec<(Track, Vec<StageDoc>)>);

/// The tracks of every gate policy that decides anywhere.
#[derive(Clone, Debug)]
pub struct TracksByScope {
    active: Tracks,
    scoped: Vec<(Digest, Tracks)>,
}

impl TracksByScope {
    pub fn read(policies: &Policies) -> Result<Self, TracksError> {
        let is_scoped =
            |module: &&Module| module.family() == Family::Gate && module.mode() == Mode::Scoped;
        let scoped = policies.modules().iter().filter(is_scoped);
        Ok(Self {
            active: Tracks::read(policies.for_question::<StagesFacts>())?,
            scoped: scoped
                .map(|module| Ok((module.digest(), Tracks::read(module)?)))
                .collect::<Result<_, TracksError>>()?,
        })
    }

    /// The tracks of a module that decides somewhere.
    pub fn by(&self, module: &Module) -> &Tracks {
        self.scoped
            .iter()
            .find(|(digest, _)| *digest == module.digest())
            .map_or(&self.active, |(_, tracks)| tracks)
    }
}

/// Why a gate policy cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TracksError {
    #[error("the gate policy {name}@{version} gives no stages for the track `{track}`: it ended as {}", outcome.as_str())]
    NoStages {
        name: String,
        version: String,
        track: Track,
        outcome: Outcome,
    },
}

impl Tracks {
    fn read(module: &Module) -> Result<Self, TracksError> {
        let stages_of = |track: &Track| {
            let evaluation = module.evaluate(&StagesFacts { track: *track });
            let (name, version) = (module.name().to_owned(), module.version().to_owned());
            let no_stages = TracksError::NoStages {
                name,
                version,
                track: *track,
                outcome: evaluation.outcome,
            };
            evaluation
                .ruling
                .filter(|stages| !stages.is_empty())
                .map(|stages| (*track, stages))
                .ok_or(no_stages)
        };
        Track::ALL
            .iter()
            .map(stages_of)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub fn stages(&self, track: Track) -> &[StageDoc] {
        self.0
            .iter()
            .find(|(each, _)| *each == track)
            .map_or(&[], |(_, stages)| stages)
    }

    /// Where a seed on `track` begins.
    pub fn first(&self, track: Track) -> Option<Stage> {
        self.stages(track).first().map(|doc| doc.stage)
    }

    /// The track that `stage` is meant on: the entity's own when it has that stage, else the one that alone has
    /// it, else the entity's own, for the policy to refuse.
    pub fn meant(&self, own: Track, stage: Stage) -> Track {
        let has =
            |(_, stages): &&(Track, Vec<StageDoc>)| stages.iter().any(|doc| doc.stage == stage);
        let with: Vec<Track> = self.0.iter().filter(has).map(|(track, _)| *track).collect();
        match with[..] {
            [only] if !with.contains(&own) => only,
            _ => own,
        }
    }
}
