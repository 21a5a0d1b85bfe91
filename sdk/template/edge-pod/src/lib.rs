//! {{name}}: what the models' answers lead to, and what is done without one.
//!
//! A starting point: models are heard, people decide. Change the rules, their texts and the cases together;
//! `gotong policy test` says what does not fit.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![warn(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;

use gotong_policy::edge_pod::{
    Course, CreditFacts, CreditRuling, Display, DuplicateFacts, DuplicateRuling, DuplicatesFacts,
    EdgePod, Endpoint, FallbackFacts, FallbackRuling, GamingFacts, GamingRuling, Measure,
    MediaFacts, MediaManyFacts, MediaRuling, Notice, Obligation, Route, Safety, SiagaFacts,
    SiagaRuling,
};
use gotong_policy::types::RuleDoc;

gotong_policy::rules! {
    fallback: "Without an answer things go on with a warning; media and emergencies are looked at by people."
        [goes_on, people_look];
    duplicates: "An author is told of a seed that is alike by 80 % or more."
        [alike, unlike];
    gaming: "Whatever a model flags is looked at by a person; it stops nothing by itself."
        [flagged, not_flagged];
    media: "Media that a scan calls safe are shown, all others are blurred."
        [safe, not_safe];
    credit: "A recommended credit is a suggestion: people approve it, and have 72 hours to dispute it."
        [suggested];
    siaga: "A report that may be an emergency is approved by people within 10 minutes."
        [approval_asked, no_emergency];
}

fn duplicate(facts: &DuplicateFacts) -> DuplicateRuling {
    if facts.similarity_permille >= 800 {
        DuplicateRuling::of(Notice::Inform, duplicates::alike, &[])
    } else {
        DuplicateRuling::of(Notice::Silent, duplicates::unlike, &[])
    }
}

fn media(facts: &MediaFacts) -> MediaRuling {
    if facts.overall == Safety::Safe {
        MediaRuling::of(Display::Show, media::safe, &[])
    } else {
        MediaRuling::of(
            Display::Blur,
            media::not_safe,
            &[Obligation::BlurMedia, Obligation::QueueModeration],
        )
    }
}

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

impl EdgePod for Policy {
    fn describe() -> Vec<RuleDoc> {
        gotong_policy::describe(RULES)
    }

    fn fallback(facts: FallbackFacts) -> FallbackRuling {
        let warn = Obligation::WarnInHeaders;
        match facts.endpoint {
            Endpoint::SensitiveMedia => {
                let duties = [warn, Obligation::BlurMedia, Obligation::QueueModeration];
                FallbackRuling::of(
                    Course::ManualModeration,
                    fallback::people_look,
                    &duties,
                    None,
                )
            }
            Endpoint::SiagaEvaluation => {
                let duties = [warn, Obligation::CallApprovers];
                FallbackRuling::of(Course::HumanApproval, fallback::people_look, &duties, None)
            }
            _ => FallbackRuling::of(Course::GoOnWithWarning, fallback::goes_on, &[warn], None),
        }
    }

    fn duplicate(facts: DuplicateFacts) -> DuplicateRuling {
        duplicate(&facts)
    }

    fn duplicates(facts: DuplicatesFacts) -> Vec<DuplicateRuling> {
        facts.items.iter().map(duplicate).collect()
    }

    fn gaming(facts: GamingFacts) -> GamingRuling {
        if facts.flag_count == 0 {
            GamingRuling::of(Measure::None, gaming::not_flagged, &[])
        } else {
            GamingRuling::of(
                Measure::ManualReview,
                gaming::flagged,
                &[Obligation::QueueModeration],
            )
        }
    }

    fn media(facts: MediaFacts) -> MediaRuling {
        media(&facts)
    }

    fn media_many(facts: MediaManyFacts) -> Vec<MediaRuling> {
        facts.items.iter().map(media).collect()
    }

    fn credit(_: CreditFacts) -> CreditRuling {
        CreditRuling::of(Course::HumanApproval, 72, credit::suggested, &[])
    }

    fn siaga(facts: SiagaFacts) -> SiagaRuling {
        if facts.is_siaga {
            let duties = [Obligation::CallApprovers];
            SiagaRuling::of(
                Route::UrgentApprovalQueue,
                siaga::approval_asked,
                &duties,
                Some(10),
            )
        } else {
            SiagaRuling::of(Route::NoSiaga, siaga::no_emergency, &[], None)
        }
    }
}

gotong_policy::export!(Policy as edge_pod);

#[cfg(test)]
mod tests {
    use super::*;
    use gotong_policy::edge_pod::Recommendation;

    #[test]
    fn likeness_begins_at_80_percent() {
        let told = |similarity_permille| {
            let recommendation = Recommendation::Allow;
            duplicate(&DuplicateFacts {
                similarity_permille,
                recommendation,
            })
            .notice
        };
        assert_eq!((told(799), told(800)), (Notice::Silent, Notice::Inform));
    }
}
