//! Every rule of retention, with the reasons it can give.

gotong_policy::rules! {
    memory: "Entities, relations, ballots, contributions, evidence and vouches are the community's memory and are \
             kept."
        [kept];
    accountability: "Transitions, decisions, the moderation trail and the story of every siaga are kept, so that anybody \
                     may check later what was decided and why."
        [kept];
    personal_field: "What a person told about oneself is kept until the person takes it back; then it is erased, and the \
                     ledger still adds up without it."
        [kept, taken_back];

    siaga_responder: "Who came to help in a siaga is known until 7 days after its end; then the names go for good, and \
                      the counts stay."
        [kept_for_a_time, matter_open, not_yet, time_over];

    vault: "A vault entry stays as long as its owner chose, 3,650 days at most. Revoked or expired, its content and its \
            key go at once; what is left says only that it was there."
        [kept_for_a_time, not_yet, chosen_time_over, longest_time_over, revoked, expired, metadata_kept];

    media_file: "Photos and files are kept while their matter is open and for 365 days after; taken back, they go at \
                 once. Their hash stays."
        [kept_for_a_time, matter_open, not_yet, time_over, taken_back];

    moderation_snippet: "The piece of a text that moderators were shown goes after 180 days."
        [kept_for_a_time, not_yet, time_over];
    moderation_report: "Who reported something is known until 180 days after the review; then only that it was reported."
        [kept_for_a_time, matter_open, not_yet, time_over];
    model_answer: "What a model answered goes after 30 days; what was decided upon it stays."
        [kept_for_a_time, not_yet, time_over];

    outbox_event: "An event for Tandang is kept until it is delivered or given up, and for 90 days after."
        [kept_for_a_time, matter_open, not_yet, time_over];
    delivery_log: "The log of deliveries to Tandang goes after 90 days."
        [kept_for_a_time, not_yet, time_over];

    feed_item: "An item of the feed goes after 365 days; what it told of stays."
        [kept_for_a_time, not_yet, time_over];
    notification: "A notification goes after 180 days."
        [kept_for_a_time, not_yet, time_over];

    chat: "A chat message is kept until it is deleted; the text of a deleted one goes 30 days later."
        [kept, kept_for_a_time, not_yet, time_over];
    read_cursor: "How far a member has read is forgotten 30 days after the member left the thread."
        [kept_for_a_time, matter_open, not_yet, time_over];

    idempotent_response: "The answer to a request is kept for 24 hours, so that sending it again does nothing twice."
        [kept_for_a_time, not_yet, time_over];

    open_matter: "What an open appeal, dispute or audit needs stays until that is over. The names of a siaga, the \
                  vault, notifications, read cursors and answers to requests do not wait."
        [needed];
}
