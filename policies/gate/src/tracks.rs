//! The five tracks: their stages in order, and where a step stands between them.

use gotong_policy::Reason;
use gotong_policy::gate::StageDoc;
use gotong_policy::types::{Stage, Track};

use crate::rules::order;

const fn always(stage: Stage) -> StageDoc {
    StageDoc {
        stage,
        optional: false,
    }
}

const fn optional(stage: Stage) -> StageDoc {
    StageDoc {
        stage,
        optional: true,
    }
}

const TUNTASKAN: &[StageDoc] = &[
    always(Stage::Keresahan),
    always(Stage::Bahas),
    optional(Stage::Rancang),
    optional(Stage::Galang),
    always(Stage::Garap),
    always(Stage::Periksa),
    optional(Stage::Dampak),
    always(Stage::Tuntas),
];

const WUJUDKAN: &[StageDoc] = &[
    always(Stage::Gagasan),
    always(Stage::Bahas),
    always(Stage::Rancang),
    optional(Stage::Galang),
    always(Stage::Garap),
    always(Stage::Rayakan),
    optional(Stage::Dampak),
    always(Stage::Tuntas),
];

const TELUSURI: &[StageDoc] = &[
    always(Stage::Pertanyaan),
    always(Stage::Dugaan),
    always(Stage::Uji),
    always(Stage::Temuan),
    always(Stage::Tuntas),
];

const RAYAKAN: &[StageDoc] = &[
    always(Stage::KabarBaik),
    always(Stage::Sahkan),
    always(Stage::Apresiasi),
    optional(Stage::Dampak),
    always(Stage::Tuntas),
];

const MUSYAWARAH: &[StageDoc] = &[
    always(Stage::Usul),
    always(Stage::Bahas),
    always(Stage::Putuskan),
    always(Stage::Jalankan),
    optional(Stage::Tinjau),
    always(Stage::Tuntas),
];

/// The stages of a track in order.
#[must_use]
pub fn stages(track: Track) -> &'static [StageDoc] {
    match track {
        Track::Tuntaskan => TUNTASKAN,
        Track::Wujudkan => WUJUDKAN,
        Track::Telusuri => TELUSURI,
        Track::Rayakan => RAYAKAN,
        Track::Musyawarah => MUSYAWARAH,
    }
}

/// Whether `stage` is the first of `track`.
#[must_use]
pub fn is_first(track: Track, stage: Stage) -> bool {
    place(track, stage) == Some(0)
}

/// Whether `stage` comes after bahas in a track that has bahas.
#[must_use]
pub fn is_past_bahas(track: Track, stage: Stage) -> bool {
    match (place(track, Stage::Bahas), place(track, stage)) {
        (Some(bahas), Some(place)) => place > bahas,
        _ => false,
    }
}

/// A step within one track goes forward, over optional stages at most.
///
/// # Errors
/// What is out of order.
pub fn step(track: Track, from: Stage, to: Stage) -> Result<(), &'static Reason> {
    let (Some(here), Some(there)) = (place(track, from), place(track, to)) else {
        return Err(order::stage_of_another_track);
    };
    if here == there {
        return Err(order::same_stage);
    }
    if there < here {
        return Err(order::stage_backward);
    }
    let mut between = stages(track).iter().take(there).skip(here + 1);
    if between.all(|passed| passed.optional) {
        Ok(())
    } else {
        Err(order::stage_skipped)
    }
}

fn place(track: Track, stage: Stage) -> Option<usize> {
    stages(track).iter().position(|doc| doc.stage == stage)
}
