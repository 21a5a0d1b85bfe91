//! What a list costs its readers: a request looks at so many rows at most, whatever others hide or add.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use harness::{Host, host};
use serde_json::{Value, json};

/// A gate of a new seed of `sari`'s: its transition.
async fn gate(host: &Host, level: &str) -> String {
    let seed =
        json!({"track": "tuntaskan", "title": "T", "scope_id": "id/zzz", "privacy_level": level});
    let entity = host.seed_with(seed).await;
    let proposed = host.propose("sari", &entity, "bahas").await.ok();
    proposed.field("transition_id")
}

/// Every page of a list, as the ids on it.
async fn pages(host: &Host, who: &str, list: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = list.to_owned();
    loop {
        let page = host.get(who, &path).await.ok().json;
        pages.push(ids(&page, "transition_id"));
        let Some(next) = page["next"].as_str() else {
            return pages;
        };
        path = format!("{list}&after={next}");
    }
}

fn ids(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    let id = |item: &Value| item[field].as_str().unwrap().to_owned();
    items.iter().map(id).collect()
}

#[tokio::test]
async fn what_somebody_hides_costs_others_so_many_rows_a_request_and_no_more() {
    let host = host();
    let oldest = gate(&host, "open").await;
    host.wait_hours(25).await;
    for _ in 0..300 {
        gate(&host, "vault").await;
    }
    let newest = gate(&host, "open").await;
    for (list, requests) in [
        ("/v1/transitions?limit=50", 7),
        // One that is full with the newest, seven, and one behind the oldest.
        ("/v1/transitions?limit=1&scope_id=id/zzz", 9),
    ] {
        for who in ["", "dewi", "admin/admin"] {
            let pages = pages(&host, who, list).await;
            assert_eq!(pages.len(), requests, "{list} {who}");
            assert_eq!(pages.concat(), [newest.clone(), oldest.clone()], "{who}");
        }
    }
    // Who may see them is shown all of them, each once.
    let own = pages(&host, "sari", "/v1/transitions?limit=50")
        .await
        .concat();
    assert_eq!(own.len(), 302);
    assert_eq!((&own[0], &own[301]), (&newest, &oldest));
    // What is not asked for is looked at by 200 a request.
    let applied = pages(&host, "sari", "/v1/transitions?limit=50&status=applied").await;
    assert_eq!(applied, [vec![], vec![oldest]]);
}

#[tokio::test]
async fn a_walk_gives_each_transition_once_while_new_ones_arrive() {
    let host = host();
    let mut there = Vec::new();
    for _ in 0..30 {
        there.push(gate(&host, "open").await);
        gate(&host, "vault").await;
    }
    there.reverse();
    for list in [
        "/v1/transitions?limit=4",
        "/v1/transitions?limit=4&scope_id=id/zzz",
        "/v1/transitions?limit=4&status=open",
    ] {
        let first = host.get("dewi", list).await.ok().json;
        let mut found = ids(&first, "transition_id");
        let mut next = first["next"].as_str().map(str::to_owned);
        let mut arrived = Vec::new();
        while let Some(after) = next {
            arrived.push(gate(&host, "open").await);
            let page = host.get("dewi", &format!("{list}&after={after}")).await;
            let page = page.ok().json;
            found.extend(ids(&page, "transition_id"));
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(found, there, "{list}");
        // What arrived meanwhile stands at the front.
        arrived.reverse();
        arrived.extend(there);
        there = arrived;
    }
}

/// Everything on the pages of a list of people.
async fn people(host: &Host, who: &str, list: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = list.to_owned();
    loop {
        let page = host.get(who, &path).await.ok().json;
        found.extend(ids(&page, "user_id"));
        let Some(next) = page["next"].as_str() else {
            return found;
        };
        path = format!("{list}&after={next}");
    }
}

/// 120 people beside the author, by the words of their user ids in order.
async fn crowd(host: &Host, entity: &str) -> Vec<String> {
    let names: Vec<String> = (0..120).map(|n| format!("person-{n:03}")).collect();
    for name in &names {
        host.join(name, entity, "saksi").await.ok();
    }
    names
}

#[tokio::test]
async fn an_answer_does_not_grow_with_the_people_around_a_matter() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let mut names = crowd(&host, &entity).await;
    names.push("sari".to_owned());
    let path = format!("/v1/entities/{entity}");
    let seen = host.get("", &path).await.ok();
    assert_eq!(
        ids(&json!({"items": seen.json["people"]}), "user_id"),
        names[..50]
    );
    assert_eq!(
        (&seen.json["people_count"], &seen.json["people_cut"]),
        (&json!(121), &json!(true))
    );
    for limit in [7, 50] {
        let list = format!("{path}/people?limit={limit}");
        assert_eq!(people(&host, "", &list).await, names);
    }

    let proposed = host.propose("sari", &entity, "bahas").await.ok();
    let gate = proposed.field("transition_id");
    let objected = host.object("person-007", &gate).await.ok();
    let read = host.get("", &format!("/v1/transitions/{gate}")).await.ok();
    for answer in [proposed, objected, read] {
        let gate = &answer.json["gate"];
        assert_eq!(
            ids(&json!({"items": gate["eligible_people"]}), "user_id"),
            names[..50]
        );
        assert_eq!(
            (&gate["eligible"], &gate["eligible_people_cut"]),
            (&json!(121), &json!(true))
        );
    }
    let list = format!("/v1/transitions/{gate}/eligible?limit=50");
    assert_eq!(people(&host, "", &list).await, names);

    // Where all of them stand in the view, it says so.
    let small = host.seed("tuntaskan").await;
    let seen = host.get("", &format!("/v1/entities/{small}")).await.ok();
    let gate = host.propose("sari", &small, "bahas").await.ok().json["gate"].clone();
    assert_eq!(
        (
            &seen.json["people_count"],
            &seen.json["people_cut"],
            &gate["eligible_people_cut"]
        ),
        (&json!(1), &json!(false), &json!(false))
    );
}

#[tokio::test]
async fn coming_and_going_costs_others_nothing_and_leaves_the_count_right() {
    let host = host();
    let entity = host.seed("tuntaskan").await;
    let path = format!("/v1/entities/{entity}");
    for _ in 0..18 {
        host.join("aaa", &entity, "saksi").await.ok();
        host.delete("aaa", &format!("{path}/relations/saksi"))
            .await
            .ok();
    }
    for relation in ["saksi", "participant"] {
        host.join("wati", &entity, relation).await.ok();
    }
    // Of the rows that were looked at none is anybody's any more.
    let first = host.get("", &format!("{path}/people?limit=5")).await.ok();
    assert_eq!(first.json["items"], json!([]));
    assert!(first.json["next"].is_string());
    let list = format!("{path}/people?limit=5");
    assert_eq!(people(&host, "", &list).await, ["sari", "wati", "wati"]);

    let count = async || {
        let seen = host.get("", &path).await.ok().json;
        (
            seen["people_count"].as_u64().unwrap(),
            seen["pic"]["username"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(count().await, (2, None));
    let pic = async |who: &str, nominee: &str| {
        let nominee = json!({"user_id": nominee});
        host.put(who, &format!("{path}/pic"), nominee).await.ok();
    };
    pic("wati", "wati").await;
    assert_eq!(count().await, (2, Some("wati".into())));
    host.join("joko", &entity, "participant").await.ok();
    pic("sari", "joko").await;
    pic("joko", "joko").await;
    assert_eq!(count().await, (3, Some("joko".into())));
    for relation in ["saksi", "participant"] {
        let relation = format!("{path}/relations/{relation}");
        host.delete("wati", &relation).await.ok();
    }
    assert_eq!(count().await, (2, Some("joko".into())));
    host.holds();
}

#[tokio::test]
async fn lists_of_people_hide_whom_the_views_hide() {
    let host = host();
    let level = async |level: &str| {
        let seed =
            json!({"track": "tuntaskan", "title": "T", "scope_id": "id", "privacy_level": level});
        let entity = host.seed_with(seed).await;
        host.join("budi", &entity, "saksi").await.ok();
        let gate = host.propose("sari", &entity, "bahas").await.ok();
        (entity, gate.field("transition_id"))
    };
    for hidden in ["l2", "l3"] {
        let (entity, gate) = level(hidden).await;
        let lists = [
            format!("/v1/entities/{entity}/people?limit=1"),
            format!("/v1/transitions/{gate}/eligible?limit=1"),
        ];
        for list in &lists {
            let page = host.get("budi", list).await.ok().json;
            assert_eq!(
                (ids(&page, "user_id"), &page["next"]),
                (vec!["budi".to_owned()], &Value::Null)
            );
            assert_eq!(
                people(&host, "sari", list).await,
                ["budi", "sari"],
                "{list}"
            );
            // Whoever sees the matter and not its people is told nothing of them.
            host.get("dewi", list).await.is(404, "not_found");
            host.get("", list).await.is(404, "not_found");
        }
        let seen = async |who: &str| {
            let seen = host.get(who, &format!("/v1/entities/{entity}")).await;
            seen.ok().json["people_count"].clone()
        };
        assert_eq!(
            [seen("sari").await, seen("budi").await, seen("dewi").await],
            [json!(2), json!(1), Value::Null],
            "{hidden}"
        );
    }
    // A cursor is good for the list of one matter.
    let (one, _) = level("open").await;
    let (other, _) = level("open").await;
    host.join("wati", &one, "saksi").await.ok();
    let list = format!("/v1/entities/{one}/people?limit=1");
    let next = host.get("", &list).await.ok().field("next");
    host.get("", &format!("/v1/entities/{other}/people?after={next}"))
        .await
        .is(400, "invalid_cursor");
}
