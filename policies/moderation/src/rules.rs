//! Every rule of moderation, with the reasons it can give.
//!
//! Those of a scan's result stand worst first: in this order they are asked, and the first that applies decides.

gotong_policy::rules! {
    child_safety: "A finding of child safety blocks the content and goes to the admins at once. Only an admin may \
                   publish it."
        [child_safety_found, admin_required];
    grave_finding: "Hate, violence, harassment and what is illegal are blocked until a moderator acts. A critical \
                    finding goes to the admins at once."
        [illegal_found, violence_found, hate_found, harassment_found];
    unsafe_media: "Media that the scan calls unsafe block the content until a moderator acts."
        [media_unsafe];
    reports: "3 reports flag content for a moderator and stop every release by itself; 5 hide it until a moderator \
              acts. Reports count from a moderator's last decision."
        [report_counted, flagged_by_reports, hidden_by_reports];
    finding: "Misinformation and spam are held for review, and so is what fits no named category. A low finding of \
              the last kind, of which the scan is sure, is published with a warning."
        [misinformation_found, spam_found, other_found, slight_finding];
    no_answer: "Without a usable answer of the AI content is held for review by a person. What was flagged by \
                reports, or is by an author of tier 0 or 1, is not shown meanwhile, and the review is due in 1 hour."
        [ai_unavailable, ai_unavailable_not_shown, confidence_out_of_bounds];
    unscanned_media: "Media that no scan has answered for are published with a warning and reviewed; by an author \
                      of tier 0 or 1 they are held, and the review is due in 1 hour."
        [media_unscanned, media_unscanned_not_shown];
    doubt: "What is clean at a confidence of 600 to 949 permille is held, and so is what is clean below 600, where \
            the author is told. Both are released after 15 minutes if nobody acts."
        [unsure, doubtful];
    sensitive_media: "What is clean and sure, with media that the scan wants reviewed, is published with a warning."
        [media_under_review];
    clean: "What is clean at a confidence of 950 permille or more is published."
        [clean];

    stale: "A time-out does nothing to content that is no longer held, or was decided on meanwhile."
        [superseded, not_held];
    auto_release: "A hold given with a release by itself ends after 15 minutes, unless reports have flagged the \
                   content."
        [nobody_acted, release_not_due, flagged_meanwhile];
    time_out: "After 24 hours a hold of a scan that was less than 600 permille sure is released. Every other hold \
               and every block goes to the admins, once."
        [released_after_a_day, hold_escalated, block_escalated, escalated_before, time_out_not_due];

    reporting: "A verified person reports what is shown, once, and not their own."
        [not_verified, own_content, not_shown, already_reported];

    moderators: "Moderators and admins decide, never on their own content."
        [not_a_moderator, own_content];
    unfinished_scan: "While the scan is under way a moderator may hold or reject, not publish."
        [still_processing];
    verdict: "A moderator publishes, with or without a warning, holds, or rejects. Everything but publishing as it \
              is may be appealed."
        [published_by_moderator, warned_by_moderator, warning_required, held_by_moderator, rejected_by_moderator];
    appeal_answer: "An appeal is answered by another moderator than the one who decided, with publish, warning or \
                    reject. The answer is final."
        [own_decision, answer_required, appeal_granted, appeal_partly_granted, appeal_dismissed];
    appeal: "The author may appeal once against whatever is not published as it is, within 7 days of the decision."
        [appeal_open, not_the_author, nothing_to_appeal, decision_final, already_appealed, appeal_window_over];

    public_view: "Everybody is told what is shown: id, status, time, warning label, and a redacted summary in place \
                  of what a warning hides. Of the rest nothing."
        [shown_to_all, hidden_from_all];
    author_view: "The author is told the status, and after the scan why, since when, until when and how to appeal."
        [scan_under_way, told_author, told_held_author];
    moderator_view: "A moderator is told everything."
        [told_moderator];
}
