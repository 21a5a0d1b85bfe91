//! Every operation of the document is called with no token, with wrong ones, and with tokens of people who have no
//! business there: 401, 404 for what they may not see, 403 for what they see and may not do. An operation that has
//! no case here fails the walk.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod harness;

use std::collections::BTreeSet;

use harness::{Answer, Host, dev_secret, host, new_key, now_s, sign};
use jsonwebtoken::Algorithm;
use reqwest::Method;
use serde_json::{Value, json};

/// One operation, as the document has it.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// The document lets it be asked without a token.
    anonymous: bool,
}

/// What an operation does with people.
enum Rule {
    /// Anybody may: it is about nothing that is somebody's.
    Anybody,
    /// Anybody with a token may.
    AnyUser,
    /// Whoever may see the matter may read it.
    Visible,
    /// Whoever has a token and may see the matter.
    VisibleUser,
    /// Only some people may, and it is seen that others may not: the code for a stranger, the code for a verifikator,
    /// who takes part and yet may not, and who may.
    Related {
        stranger: &'static str,
        verifikator: &'static str,
        rightful: &'static str,
    },
    /// Admins and services alone.
    Audit,
}

/// How an operation is called, and what comes of it.
struct Case {
    rule: Rule,
    body: Value,
    /// What the rightful caller is told.
    success: (u16, &'static str),
}

/// A matter that everybody sees, and one that only its author knows of.
struct Matter {
    entity: String,
    transition: String,
    decision: String,
    /// The timer of its gate.
    job: String,
}

const RELATED: (&str, &str) = ("not_related", "relation_not_held");

fn case(operation: &str, matter: &Matter) -> Option<Case> {
    let of = |rule, body, status| Case {
        rule,
        body,
        success: (status, ""),
    };
    let related = |rightful, body, status| {
        let (stranger, verifikator) = RELATED;
        let rule = Rule::Related {
            stranger,
            verifikator,
            rightful,
        };
        of(rule, body, status)
    };
    let long_ago = "2020-01-01T00:00:00Z";
    Some(match operation {
        "health_live" | "health_ready" | "read_openapi" | "read_docs" | "list_transitions" => {
            of(Rule::Anybody, Value::Null, 200)
        }
        "move_clock" => of(Rule::Anybody, json!({"advance_ms": 0}), 200),
        "share_entity" => of(
            Rule::AnyUser,
            json!({"track": "tuntaskan", "title": "A seed", "scope_id": "id"}),
            201,
        ),
        "read_entity" | "read_permissions" | "read_stage" | "read_timeline" | "read_transition"
        | "read_decision" | "list_people" | "list_eligible" => of(Rule::Visible, Value::Null, 200),
        "read_own_votes" => of(Rule::VisibleUser, Value::Null, 200),
        "begin_relation" => related("sari", json!({"relation": "humas", "user_id": "wati"}), 201),
        "end_relation" => Case {
            rule: Rule::Related {
                stranger: "relation_not_held",
                verifikator: "relation_not_held",
                rightful: "wati",
            },
            body: Value::Null,
            success: (200, ""),
        },
        "nominate_pic" => related("sari", json!({"user_id": "wati"}), 200),
        "submit_evidence" => Case {
            // The door is passed: what is told is about the evidence itself.
            success: (422, "evidence_too_old"),
            ..related(
                "wati",
                json!({"entity_id": matter.entity, "evidence_type": "gps_verification",
                    "evidence_data": {"timestamp": long_ago, "lat": 0.0, "lon": 0.0}}),
                422,
            )
        },
        "propose_transition" => Case {
            success: (409, "gate_open"),
            ..related(
                "sari",
                json!({"entity_id": matter.entity, "to_stage": "bahas"}),
                409,
            )
        },
        "object_to_transition" => Case {
            success: (422, "vote_already_open"),
            ..related("wati", json!({"reason": "Let us talk first."}), 422)
        },
        "challenge_result" => Case {
            success: (422, "no_result_to_challenge"),
            ..related("wati", json!({"reason": "It was not announced."}), 422)
        },
        "cast_vote" => Case {
            rule: Rule::Related {
                stranger: "not_in_snapshot",
                verifikator: "not_in_snapshot",
                rightful: "wati",
            },
            body: json!({"choice": "yes"}),
            success: (201, ""),
        },
        "audit_events" | "audit_head" | "audit_counts" | "audit_decisions" | "audit_modules"
        | "audit_module" | "shadow_differences" | "read_metrics" => {
            of(Rule::Audit, Value::Null, 200)
        }
        "list_jobs" | "read_job" => of(Rule::Audit, Value::Null, 200),
        // A timer that waits for its time is nothing to set going, and not called off unless that is forced.
        "retry_job" => Case {
            success: (409, "job_waits"),
            ..of(Rule::Audit, Value::Null, 409)
        },
        "cancel_job" => Case {
            success: (409, "job_needed"),
            ..of(Rule::Audit, json!({}), 409)
        },
        _ => return None,
    })
}

/// The path with its parameters filled in.
fn address(operation: &Operation, matter: &Matter, module: &str) -> String {
    let id = if operation.path.starts_with("/v1/decisions") {
        &matter.decision
    } else if operation.path.starts_with("/v1/transitions") {
        &matter.transition
    } else {
        &matter.entity
    };
    let path = operation
        .path
        .replace("{id}", id)
        .replace("{relation}", "participant")
        .replace("{job_id}", &matter.job)
        .replace("{digest}", module);
    assert!(!path.contains('{'), "no value for a parameter of {path}");
    match operation.id.as_str() {
        "audit_head" => format!("{path}?stream={id}"),
        _ => path,
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"]
                .as_array()
                .unwrap_or_else(|| panic!("{method} {path} does not say who may"));
            // Whom a policy is asked about, a policy may fail.
            if security.contains(&json!({"bearer": []})) {
                let denied = &operation["responses"]["403"];
                assert!(denied.is_object(), "{method} {path} does not name 403");
            }
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                anonymous: security.contains(&json!({})),
            });
        }
    }
    found
}

async fn timer(host: &Host, transition: &str) -> String {
    let mut path = "/v1/admin/jobs?limit=50&state=pending".to_owned();
    loop {
        let page = host.get("admin/admin", &path).await.ok().json;
        let jobs = page["jobs"].as_array().unwrap().iter();
        let mut ids = jobs.map(|job| job["job_id"].as_str().unwrap());
        if let Some(id) = ids.find(|id| id.contains(transition)) {
            return id.to_owned();
        }
        let next = page["next"].as_str();
        let next = next.unwrap_or_else(|| panic!("no timer of {transition} in {page}"));
        path = format!("/v1/admin/jobs?limit=50&state=pending&after={next}");
    }
}

/// A stranger is `dewi`; `joko` is a verifikator, `wati` a participant, `sari` the author.
async fn open(host: &Host) -> Matter {
    let (entity, transition) = host.at_a_vote().await;
    host.join("joko", &entity, "verifikator").await.ok();
    let refused = host.propose("dewi", &entity, "bahas").await;
    Matter {
        decision: refused.is(403, "not_related").field("decision_id"),
        job: timer(host, &transition).await,
        entity,
        transition,
    }
}

async fn vault(host: &Host) -> Matter {
    let seed =
        json!({"track": "tuntaskan", "title": "T", "scope_id": "id", "privacy_level": "vault"});
    let entity = host.seed_with(seed).await;
    let refused = host.propose("sari", &entity, "keresahan").await;
    let transition = host.propose("sari", &entity, "bahas").await.ok();
    let transition = transition.field("transition_id");
    Matter {
        decision: refused.is(422, "same_stage").field("decision_id"),
        job: timer(host, &transition).await,
        transition,
        entity,
    }
}

/// A token of `sari`, who may do nearly everything: signed by somebody else, or with another time.
fn sari(secret: &str, exp: u64) -> String {
    let claims = json!({"sub": "sari", "username": "sari", "role": "admin", "iss": "gotong", "aud": "gotong", "exp": exp});
    format!("Bearer {}", sign(&claims, Algorithm::HS256, secret))
}

/// The path, and its alias where it has one.
fn both(path: &str) -> Vec<String> {
    let alias = path.starts_with("/v1/").then(|| format!("/api{path}"));
    [path.to_owned()].into_iter().chain(alias).collect()
}

struct Walk<'a> {
    host: &'a Host,
    operation: &'a Operation,
    body: Value,
}

impl Walk<'_> {
    async fn call(&self, who: &str, path: &str, authorization: Option<&str>) -> Answer {
        let mut request = self.host.request(who, self.operation.method.clone(), path);
        if let Some(header) = authorization {
            request = request.header("Authorization", header);
        }
        if self.operation.method != Method::GET {
            request = request.key(&new_key());
        }
        if !self.body.is_null() {
            request = request.raw(self.body.to_string());
        }
        request.send().await
    }

    /// Nobody in particular is told the same under the alias. (A person's second request could be told of the first.)
    async fn expect(&self, who: &str, path: &str, (status, code): (u16, &str)) {
        let paths = if who.is_empty() {
            both(path)
        } else {
            vec![path.to_owned()]
        };
        for path in paths {
            let answer = self.call(who, &path, None).await;
            let found = (
                answer.status.as_u16(),
                answer.json["code"].as_str().unwrap_or_default(),
            );
            let id = &self.operation.id;
            let text = &answer.text;
            assert_eq!(found, (status, code), "{id} at {path} as `{who}`: {text}");
        }
    }

    /// A token that is none is never taken for no token, whatever is asked.
    async fn wrong_tokens(&self, path: &str) {
        let id = &self.operation.id;
        for (header, code) in [
            (
                sari(&"another secret".repeat(4), now_s() + 600),
                "token_invalid",
            ),
            (sari(dev_secret(), now_s() - 3_600), "token_expired"),
            ("Bearer nonsense".to_owned(), "token_invalid"),
        ] {
            for path in both(path) {
                let answer = self.call("", &path, Some(&header)).await;
                let found = (answer.status.as_u16(), answer.field("code"));
                assert_eq!(found, (401, code.to_owned()), "{id} at {path}");
            }
        }
    }
}

const NOT_FOUND: (u16, &str) = (404, "not_found");

/// The user id and the name of an author who is to stay unknown: in no answer by chance.
const AUTHOR: [&str; 2] = ["id-9c41f7aa", "Ibu Tersembunyi"];

async fn as_author(host: &Host, method: Method, path: &str, body: Value) -> Answer {
    let claims = json!({"sub": AUTHOR[0], "username": AUTHOR[1], "role": "user", "iss": "gotong", "aud": "gotong", "exp": now_s() + 600});
    let token = sign(&claims, Algorithm::HS256, dev_secret());
    let mut request = host
        .request("", method.clone(), path)
        .header("Authorization", &format!("Bearer {token}"));
    if method != Method::GET {
        request = request.key(&new_key()).raw(body.to_string());
    }
    request.send().await
}

/// A matter whose author is named to nobody else (at `l2` to the pic, of whom there is none): the author is also a
/// saksi, proposed, objected and voted. `joko` is a verifikator, `wati` a participant, `budi` at `l3` the pic.
async fn of_a_hidden_author(host: &Host, level: &str) -> Matter {
    let post = async |path: &str, body: Value| as_author(host, Method::POST, path, body).await;
    let seed =
        json!({"track": "tuntaskan", "title": "T", "scope_id": "id", "privacy_level": level});
    let entity = post("/v1/entities", seed).await.ok().field("entity_id");
    let here = format!("/v1/entities/{entity}");
    let saksi = json!({"relation": "saksi"});
    post(&format!("{here}/relations"), saksi).await.ok();
    for (who, relation) in [
        ("joko", "verifikator"),
        ("wati", "participant"),
        ("budi", "participant"),
    ] {
        host.join(who, &entity, relation).await.ok();
    }
    if level == "l3" {
        let oneself = json!({"user_id": "budi"});
        host.put("budi", &format!("{here}/pic"), oneself).await.ok();
    }
    let to_bahas = json!({"entity_id": entity, "to_stage": "bahas"});
    let transition = post("/v1/transitions", to_bahas).await.ok();
    let transition = transition.field("transition_id");
    let gate = format!("/v1/transitions/{transition}");
    let why = json!({"reason": "Let us talk first."});
    post(&format!("{gate}/objections"), why).await.ok();
    let yes = json!({"choice": "yes"});
    post(&format!("{gate}/votes"), yes).await.ok();
    let refused = host.propose("dewi", &entity, "bahas").await;
    Matter {
        decision: refused.is(403, "not_related").field("decision_id"),
        job: timer(host, &transition).await,
        entity,
        transition,
    }
}

#[tokio::test]
async fn no_operation_names_a_hidden_author_to_anybody_else() {
    let host = host();
    let document = host.get("", "/openapi.json").await.ok().json;
    let modules = host.get("admin/admin", "/v1/audit/modules").await.ok();
    let module = modules.json[0]["digest"].as_str().unwrap();
    let named = |answer: &Answer| {
        let head = format!("{:?}", answer.headers);
        let said = |word: &str| answer.text.contains(word) || head.contains(word);
        AUTHOR.iter().any(|word| said(word))
    };
    let mut done = BTreeSet::new();
    for level in ["l2", "l3"] {
        for operation in operations(&document) {
            let matter = of_a_hidden_author(&host, level).await;
            let path = address(&operation, &matter, module);
            let mut bodies = vec![case(&operation.id, &matter).unwrap().body];
            if let "begin_relation" | "nominate_pic" = operation.id.as_str() {
                // Whoever guesses right is told nothing either.
                let mut guess = bodies[0].clone();
                guess["user_id"] = AUTHOR[0].into();
                if operation.id == "nominate_pic" {
                    // At l2 the pic is told who the author is: none of those who ask becomes that.
                    bodies = vec![json!({"user_id": "tono"})];
                }
                bodies.push(guess);
            }
            for body in bodies {
                let walk = Walk {
                    host: &host,
                    operation: &operation,
                    body,
                };
                for who in [
                    "",
                    "dewi",
                    "joko",
                    "wati",
                    "budi",
                    "mira/moderator",
                    "admin/admin",
                ] {
                    let answer = walk.call(who, &path, None).await;
                    let told = format!("{level} {} {}: {}", operation.id, who, answer.text);
                    assert!(!named(&answer), "{told}");
                    assert!(answer.status.as_u16() < 500, "{told}");
                    if answer.status.is_success() {
                        done.insert((level, operation.id.clone()));
                    }
                    if let Some(decision) = answer.json["decision_id"].as_str() {
                        let path = format!("/v1/decisions/{decision}");
                        let why = host.get(who, &path).await;
                        assert!(!named(&why), "{told} {}", why.text);
                    }
                }
            }
            if operation.id == "read_entity" || operation.id == "read_transition" {
                let own = as_author(&host, Method::GET, &path, Value::Null).await;
                assert!(named(&own.clone().ok()), "{level}: {}", own.text);
            }
        }
    }
    for operation in [
        "read_entity",
        "read_transition",
        "read_timeline",
        "list_transitions",
        "read_decision",
    ] {
        for level in ["l2", "l3"] {
            let key = (level, operation.to_owned());
            assert!(
                done.contains(&key),
                "{operation} at {level} told nobody anything"
            );
        }
    }
}

#[tokio::test]
async fn every_operation_keeps_its_door() {
    let host = host();
    let document = host.get("", "/openapi.json").await.ok().json;
    let modules = host.get("admin/admin", "/v1/audit/modules").await.ok();
    let module = modules.json[0]["digest"].as_str().unwrap();
    let hidden = vault(&host).await;
    let operations = operations(&document);
    assert!(operations.len() >= 27, "{}", operations.len());
    let ids: BTreeSet<&str> = operations.iter().map(|each| each.id.as_str()).collect();
    assert_eq!(ids.len(), operations.len(), "operation ids are unique");
    for operation in &operations {
        let matter = open(&host).await;
        let Some(Case {
            rule,
            body,
            success,
        }) = case(&operation.id, &matter)
        else {
            panic!(
                "`{}` ({} {}) has no case in this walk: say who may",
                operation.id, operation.method, operation.path
            );
        };
        let path = address(operation, &matter, module);
        let unseen = address(operation, &hidden, module);
        let in_vault = case(&operation.id, &hidden).map(|case| case.body);
        let walk = Walk {
            host: &host,
            operation,
            body,
        };
        let walk_unseen = Walk {
            host: &host,
            operation,
            body: in_vault.unwrap_or_default(),
        };
        walk.wrong_tokens(&path).await;
        walk_unseen.wrong_tokens(&unseen).await;
        let may_be_anonymous = matches!(rule, Rule::Anybody | Rule::Visible);
        assert_eq!(
            operation.anonymous, may_be_anonymous,
            "the document says otherwise of {}",
            operation.id
        );
        if !may_be_anonymous {
            walk.expect("", &path, (401, "token_required")).await;
            walk_unseen
                .expect("", &unseen, (401, "token_required"))
                .await;
        }
        match rule {
            Rule::Anybody => {
                for who in ["", "dewi"] {
                    walk.expect(who, &path, success).await;
                }
            }
            Rule::AnyUser => walk.expect("dewi", &path, success).await,
            Rule::Visible | Rule::VisibleUser => {
                for who in ["", "dewi", "joko", "sari"] {
                    if may_be_anonymous || !who.is_empty() {
                        walk.expect(who, &path, success).await;
                    }
                    if may_be_anonymous && who.is_empty() || who == "dewi" || who == "joko" {
                        walk_unseen.expect(who, &unseen, NOT_FOUND).await;
                    }
                }
                walk_unseen.expect("sari", &unseen, success).await;
            }
            Rule::Related {
                stranger,
                verifikator,
                rightful,
            } => {
                walk.expect("dewi", &path, (403, stranger)).await;
                walk.expect("joko", &path, (403, verifikator)).await;
                walk_unseen.expect("dewi", &unseen, NOT_FOUND).await;
                walk_unseen.expect("joko", &unseen, NOT_FOUND).await;
                walk.expect(rightful, &path, success).await;
            }
            Rule::Audit => {
                for who in ["dewi", "sari", "mira/moderator"] {
                    walk.expect(who, &path, (403, "role_not_held")).await;
                }
                if operation.method == Method::GET {
                    // What is wrong with a request is told to those who may send it.
                    let join = if path.contains('?') { '&' } else { '?' };
                    let wrong = format!("{path}{join}nonsense=1");
                    walk.expect("", &wrong, (401, "token_required")).await;
                    walk.expect("dewi", &wrong, (403, "role_not_held")).await;
                }
                for who in ["admin/admin", "batch/service"] {
                    walk.expect(who, &path, success).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_host_outside_development_documents_and_answers_no_development_routes() {
    let host = harness::Setup::default()
        .outside_dev()
        .env(
            "GOTONG_AUTH__HS256_SECRET",
            "a secret of this test alone, long enough",
        )
        .start();
    let document = host.get("", "/openapi.json").await.ok().json;
    let printed = harness::gotong(&["openapi"]).output().unwrap().stdout;
    assert_eq!(document, serde_json::from_slice::<Value>(&printed).unwrap());
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"].get("/dev/clock").is_none());
    host.request("", Method::POST, "/dev/clock")
        .raw(json!({"advance_ms": 0}).to_string())
        .send()
        .await
        .is(404, "not_found");
}

#[tokio::test]
async fn the_document_names_the_fields_of_every_body() {
    let document = host().get("", "/openapi.json").await.ok().json;
    let operations = document["paths"].as_object().unwrap().values();
    let bodies = operations.flat_map(|item| item.as_object().unwrap().values());
    for operation in bodies.filter(|operation| operation.get("requestBody").is_some()) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let place = schema["$ref"].as_str().map(|place| &place[1..]);
        let body = place.and_then(|place| document.pointer(place));
        let fields = body.and_then(|body| body["properties"].as_object());
        assert!(
            fields.is_some_and(|fields| !fields.is_empty()),
            "{}: {schema}",
            operation["operationId"]
        );
    }
}
