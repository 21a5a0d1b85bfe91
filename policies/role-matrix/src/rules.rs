//! Every rule of the matrix, with the reasons it can give.

gotong_policy::rules! {
    visibility: "open is shown to everybody; l1, l2 and l3 to verified members; vault only to people with a \
                 relation. Nobody acts on what they cannot see; the anonymous see only open."
        [not_visible];
    anonymous: "Without a token one may only read."
        [anonymous_only_reads];
    host_timer: "The host's own timers only apply what their time has decided."
        [timer_applies, system_only_applies_timers];
    service: "A service token reads open entities, manages the outbox and reads the audit."
        [not_for_services];

    entity_create: "Any verified person shares a seed."
        [verified, not_verified];
    entity_read: "Whoever may see an entity may read it, in the projection made for them."
        [visible];
    entity_edit: "The author edits the seed within 15 minutes of sharing it."
        [within_edit_window, edit_window_over, not_related, relation_not_held];
    co_witness: "Any verified person witnesses a seed and becomes saksi, once; a verifikator stays uninvolved."
        [verified, not_verified, already_saksi, verifikator_stays_uninvolved];
    participate: "Any verified person joins and becomes participant, once; a verifikator stays uninvolved."
        [verified, not_verified, already_participant, verifikator_stays_uninvolved];
    stand_as_verifikator: "A verified person who holds no relation at all may stand as verifikator."
        [uninvolved, not_verified, already_involved];
    appoint: "The pic, or the author while there is no pic, makes a person who already takes part bendahara or \
              humas. The bendahara is never the pic."
        [appointed, not_related, relation_not_held, not_an_appointment, subject_not_related, already_held,
         pic_is_never_bendahara];
    relation_end: "One ends one's own relation. The author stays the author; the pic hands over first."
        [ended_by_oneself, not_ones_own, not_one_relation, relation_not_held, author_stays, pic_hands_over];
    discuss: "Author, saksi, participants, pic, bendahara and humas discuss."
        [relation_held, not_related, relation_not_held];
    evidence_submit: "Author, saksi, participants and pic submit evidence."
        [relation_held, not_related, relation_not_held];

    propose: "The author or the pic proposes a transition."
        [relation_held, not_related, relation_not_held];
    object: "Participants, saksi, author and pic object to a transition."
        [relation_held, not_related, relation_not_held];
    vote: "Author, saksi, participants and pic vote, as they were when the gate opened."
        [in_snapshot, not_in_snapshot];
    transition_emergency: "The pic or a moderator takes an emergency step; it is audited."
        [relation_held, moderator, not_related, relation_not_held];
    result_challenge: "Author, saksi, participants and pic challenge a result."
        [relation_held, not_related, relation_not_held];

    pic_nominate: "The author nominates a pic among the people who take part; while there is no pic the author \
                   or a participant may offer oneself. Never the bendahara, never a verifikator."
        [nominated, offered_oneself, not_related, relation_not_held, only_oneself, pic_already_there,
         subject_not_related, already_held, pic_is_never_bendahara, verifikator_stays_uninvolved];
    pic_accept: "The nominee accepts, while still taking part; neither the bendahara nor a verifikator can be the pic."
        [nominee, not_nominated, no_longer_takes_part, pic_is_never_bendahara, verifikator_stays_uninvolved];

    task_assign: "The pic assigns tasks."
        [relation_held, not_related, relation_not_held];
    task_claim: "Participants and the pic claim tasks and report on them."
        [relation_held, not_related, relation_not_held];
    funds_manage: "The bendahara manages the funds."
        [relation_held, not_related, relation_not_held];
    disbursement_approve: "Money moves when both the pic and the bendahara have approved, each once."
        [first_approval, both_approved, already_approved, pic_is_never_bendahara, not_related,
         relation_not_held];
    broadcast: "The humas broadcasts."
        [relation_held, not_related, relation_not_held];
    completion_verify: "A verifikator verifies completion."
        [relation_held, not_related, relation_not_held];
    privacy_set: "The author or the pic sets the privacy level; l3 is never reversed."
        [relation_held, not_related, relation_not_held, l3_is_never_reversed];
    dispute: "Anyone with a relation disputes."
        [relation_held, not_related];

    moderate: "Moderators and admins moderate."
        [role_held, role_not_held];
    outbox_manage: "Admins and services manage the outbox and its dead letters."
        [role_held, role_not_held];
    audit_read: "Admins and services read the audit."
        [role_held, role_not_held];

    project_open: "An open entity is shown whole to everybody."
        [open];
    project_l1: "An l1 entity is shown whole to verified members."
        [verified_member];
    project_l2: "An l2 entity hides its author from all but the author and the pic. People without a relation \
                 see title, scope, timeline and blurred media, may ask for access, and never find it by search."
        [related, access_on_request];
    project_l3: "An l3 entity hides its author from everybody else, for ever, and its content from people \
                 without a relation, who see scope and timeline and never find it by search."
        [related, content_hidden];
    project_vault: "A vault entity is shown to the people with a relation and does not exist for others."
        [related];
}
