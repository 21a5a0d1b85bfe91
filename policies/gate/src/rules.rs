//! Every rule of the gates, with the reasons it can give.

gotong_policy::rules! {
    order: "A matter moves forward through the stages of its track. Optional stages may be skipped; nothing \
            goes backward, and tuntas is the end."
        [same_stage, stage_backward, stage_skipped, stage_of_another_track, already_tuntas];
    accountable_lead: "Every matter past bahas has a pic."
        [pic_required];
    challenge_window: "A vote may be given a challenge window of 1 to 720 hours, in which a won vote waits; \
                       consent and emergency know none."
        [challenge_window_out_of_bounds, challenge_window_not_applicable];

    seed: "From the seed to the second stage: consent, low risk, 24 hours."
        [consent];
    small_plan: "From bahas to rancang with fewer than 5 members: consent, low risk, 24 hours."
        [consent];
    plan: "From bahas to rancang with 5 members or more: a vote, medium risk, 48 hours."
        [standard_vote, weighted_vote];
    work: "From rancang, or from bahas when rancang is skipped, to garap: a vote, medium risk, 48 hours."
        [standard_vote, weighted_vote];
    funding: "Into or out of galang: a vote, medium risk, 48 hours."
        [standard_vote, weighted_vote];
    proof: "From garap to periksa: a vote, high risk, 72 hours, on stored proof of reality."
        [standard_vote, weighted_vote, proof_required];
    completion: "From periksa to tuntas: a vote, high risk, 72 hours, with a configured challenge window."
        [standard_vote, weighted_vote, challenge_window_required];
    track_change: "From temuan a telusuri matter may become tuntaskan or wujudkan at their first stage: a vote at \
                   1.5 times the quorum, high risk, 72 hours, then 72 hours or more for challenges; never by \
                   emergency."
        [standard_vote, weighted_vote, track_change_not_allowed];
    emergency: "Any forward step may be taken at once in an emergency: critical risk, audited within 7 days. \
                Order holds; pic, proof and challenge window are not asked for."
        [emergency];
    forward_step: "Any other forward step: a vote, medium risk, 48 hours."
        [standard_vote, weighted_vote];

    objection: "An objection of author, saksi, participant or pic turns consent into a standard vote of 48 \
                hours from now. An open vote takes ballots, not objections."
        [objection_forces_vote, vote_already_open, window_is_for_challenges, nothing_to_object_to, not_related];
    challenge: "Author, saksi, participants and pic challenge a won vote while it waits: a second vote of 72 hours \
                at 1.5 times the quorum, whose result is final."
        [second_vote, no_result_to_challenge, not_related];

    consent_close: "Consent applies itself at the end of its window when nobody has objected."
        [no_objection, objected];
    quorum: "A standard vote counts when 30 % of the eligible have voted, at least 1 person and at most 50; a \
             weighted vote when 40 % of the weight has."
        [quorum_not_met];
    majority: "A standard vote is won by more than half of yes and no, a weighted vote by more than 60 %."
        [majority_yes, majority_no];
    challenge_close: "A won vote waits its challenge window out and applies when nobody has challenged it."
        [awaiting_challenges, unchallenged, challenged];
    emergency_close: "An emergency applies at once."
        [emergency_applied];
}
