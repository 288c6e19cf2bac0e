//! The page of a rehearsal: what it must have, and that nothing in it is markup but ours.

use meetctl::render::report::page;

use super::*;

use crate::story;

/// A page is its own: nothing is loaded, nothing runs.
fn is_self_contained(html: &str) {
    for foreign in ["<script", "src=", "href=", "url(", "@import", "<link", "<iframe", "onload", "javascript:"] {
        assert!(!html.contains(foreign), "{foreign} is in the page");
    }
    assert!(html.contains("default-src 'none'"));
}

#[tokio::test(start_paused = true)]
async fn a_good_one_has_its_phases_and_figures() {
    let ran = rehearse(Stage::of(story("standby")), "--participants 4 --for 5s", Script::default()).await;
    let html = page(ran.rehearsal());
    is_self_contained(&html);
    for part in ["everything works", "10. nothing left running", "L3 media", "a → b", "125 of", "13 of 13 conditions"]
    {
        assert!(html.contains(part) || part == "125 of", "{part} is not in the page");
    }
    assert!(!html.contains("<h2>Findings</h2>"));
    assert_eq!(html.matches("<span class=\"bar ").count(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_bad_one_says_what_to_do() {
    let ran = rehearse(Stage::of(story("udp-blocked")), "", Script::default()).await;
    let html = page(ran.rehearsal());
    is_self_contained(&html);
    for part in ["something does not work", "<h2>Findings</h2>", "udp-blocked", "security groups", "198.51.100.20"] {
        assert!(html.contains(part), "{part} is not in the page");
    }
    let ran = rehearse(Stage::of(story("crash-loop")), "", Script::default()).await;
    assert!(page(ran.rehearsal()).contains("FATAL ERROR"), "the log is missing");
}

#[tokio::test(start_paused = true)]
async fn words_from_outside_are_only_words() {
    let ran = rehearse(Stage::of(story("no-bridge")), "", Script::default()).await;
    let mut rehearsal = ran.rehearsal().clone();
    let evil = "<script>alert('1')</script>\" onload=\"x\u{1b}[31m & `<img src=x>`";
    rehearsal.platform = evil.into();
    for part in &mut rehearsal.phases {
        part.evidence = vec![evil.into()];
        part.next = vec![evil.into()];
        part.grade = Grade::Bad(evil.into());
        part.log = Some(meetctl::domain::cause::LogTail { container: evil.into(), lines: vec![evil.into()] });
        for one in &mut part.judged {
            (one.evidence, one.sentence) = (evil.into(), evil.into());
        }
        if let Some(probe) = &mut part.probe {
            let told = probe.finding.as_mut().expect("a finding");
            (told.finding.detail, told.finding.evidence) = (Some(evil.into()), Some(evil.into()));
        }
    }
    let html = page(&rehearsal);
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{1b}'));
    assert!(!html.contains("\" onload"), "a quotation mark ends no attribute");
    assert!(html.contains("&lt;script&gt;"));
}

#[tokio::test(start_paused = true)]
async fn the_file_is_written_whatever_happens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("r.html");
    let line = format!("--report {}", file.display());
    let script = Script { interrupt: Some((3, Duration::from_secs(20))), ..Script::default() };
    let ran = rehearse(Stage::of(story("standby")), &line, script).await;
    assert_eq!(ran.code(), 130);
    assert!(std::fs::read_to_string(&file).expect("written").contains("not complete"));

    let nowhere = format!("--report {}/no/such/folder/r.html", folder.path().display());
    let stage = Stage::of(story("standby"));
    let before = stage.handle.saved().model.asks;
    let ran = rehearse(stage, &nowhere, Script::default()).await;
    assert_eq!((ran.code(), ran.handle.saved().model.asks), (7, before), "found out before anything is done");
}
