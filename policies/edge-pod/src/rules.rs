//! Every rule of Edge-Pod, with the reasons it can give.

gotong_policy::rules! {
    duplicates_unchecked: "When no model can say whether a seed is there already, it is shared with a warning; what may \
                           pass is asked again after 30 seconds, then ever later, 6 calls at most."
        [asked_again, asked_often_enough, not_worth_asking_again];
    gaming_unchecked: "When no model looks for gaming, everything goes on as if there were none."
        [not_asked_again];
    media_unchecked: "Media that no model has looked at stay, and a moderator looks at them; asked again as for \
                      duplicates. What a model refuses to look at is blurred until then."
        [asked_again, asked_often_enough, not_worth_asking_again, refused_by_model];
    credit_unadvised: "When no model recommends a credit, people fill in the form by hand."
        [not_asked_again];
    siaga_unjudged: "A report that no model has judged goes to the people who approve a siaga, who are called; what may \
                     pass is asked again after 5 seconds, then ever later up to a minute, 6 calls at most."
        [asked_again, asked_often_enough, not_worth_asking_again];

    likeness: "A seed that is 80 % like another or more is strongly warned of, from 50 % its author is told, below \
               nothing is said."
        [very_alike, alike, not_alike];
    author_decides: "A model may advise to block a seed; its author is told how alike the two are and decides."
        [block_not_followed];

    gaming_signs: "Strong signs of gaming, three or more signs, or a model's wish for a review bring a moderator to look; \
                   weaker signs are only noted, and so is all that a model less than 50 % sure says. An answer that \
                   contradicts itself, such as advice without a sign, is a doubt: a moderator looks, however sure it is."
        [no_signs, not_sure_enough, weak_signs, many_signs, strong_signs, review_advised, contradicts_itself];
    nobody_suspended: "A model never slows down or suspends anybody: when one that is not less than 50 % sure advises so, \
                       a moderator looks."
        [suspension_not_followed];

    media_safe: "Media are shown when the scan calls them safe and found nothing that says otherwise."
        [safe];
    media_doubtful: "Doubtful media are blurred until a moderator has looked, and so are media that a scan calls safe and \
                     yet finds something in; slight doubts, below 50 % and without a grave finding, are shown while the \
                     moderator looks."
        [slight_doubt, doubtful, safe_but_found];
    media_unsafe: "Unsafe media are blurred until a moderator has looked; with a critical finding of 90 % or more they \
                   are not shown until then."
        [unsafe_media, critical_media];

    credit_form: "Without candidates, with weights that are not a share of the whole, or with a model less than 60 % \
                  sure, people fill in an empty form."
        [no_candidates, weights_unusable, not_sure_enough];
    credit_suggestion: "A recommended credit is a suggestion that other people confirm, never booked by itself; it may be \
                        disputed for 72 hours, for 7 days when one asks for oneself."
        [suggested, asks_for_oneself];

    no_siaga: "What a model calls no emergency is none, unless the reporter says it is urgent: then people look within \
               an hour."
        [no_emergency, reporter_disagrees];
    siaga_at_once: "A siaga goes out by itself only if its rules allow that, it is critical, the model is 95 % sure, the \
                    reporter calls it high or critical, and the reporter is a kontributor or more; people check it within \
                    15 minutes."
        [critical_and_certain];
    siaga_approval: "Every other siaga waits for people's approval: within 15 minutes, and they are called, when model or \
                     reporter says critical, or the model high; else within an hour."
        [a_person_decides, not_critical, not_sure_enough, not_urgent_to_reporter, reporter_not_known_enough];
}
