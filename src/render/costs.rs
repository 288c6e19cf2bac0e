//! What things cost, as pages of text.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Row};

use super::style::Page;
use super::table::bare;
use super::words::{self, count};
use crate::domain::cost::Money;
use crate::domain::estimate::{Ingress, Rest};
use crate::event::{Costs, Settled};

/// `$24.63`: a month's sum needs no more than cents.
fn cents(money: Money) -> String {
    format!("${:.2}", f64::from(money))
}

pub(super) fn costs(of: &Costs, page: &Page) -> String {
    let usage = &of.usage;
    let levels = table(
        page,
        &["Level", "an hour", "a month"],
        of.levels.iter().map(|l| vec![l.level.to_owned(), words::dollars(l.per_hour), cents(l.per_month)]),
    );
    let seed = table(
        page,
        &["Hours on", "as claimed", "standby between", "powered down between"],
        of.seed.iter().map(|r| vec![r.hours.to_string(), cents(r.claimed), cents(r.standby), cents(r.powered_down)]),
    );
    let month = table(
        page,
        &["", "a month"],
        of.month
            .lines
            .iter()
            .map(|l| vec![l.what.clone(), cents(l.amount)])
            .chain([vec!["total".to_owned(), cents(of.month.total)]]),
    );
    let people = usage.meeting.map_or(0, |m| m.participants);
    let rest = match usage.rest {
        Rest::Standby => "on standby between",
        Rest::PoweredDown => "powered down between",
    };
    let way = match usage.ingress {
        Ingress::Nlb => "media through the load balancer",
        Ingress::Task => "media straight to the task",
    };
    let meetings = count(usage.sessions, "meeting", "meetings");
    let each = if usage.sessions == 0 { 0.0 } else { f64::from(of.month.total) / f64::from(usage.sessions) };
    let mut out = format!("What a level costs while it lasts\n\n{levels}\n\n");
    let _ = write!(out, "The project's first table, without traffic, next to what such months cost\n\n{seed}\n\n");
    let _ = write!(
        out,
        "{meetings} of {} h with {people} people, {rest}, {way}: {:.0} GB out, {} each\n\n{month}\n\n",
        usage.meeting_hours,
        of.month.egress_gb,
        cents(each.into())
    );
    let _ = writeln!(
        out,
        "Rates: {}. Traffic is an upper bound, all cameras on. Not counted: {}.",
        of.rates, of.not_counted
    );
    out
}

pub(super) fn settled(of: &Settled, page: &Page) -> String {
    let saved = of.before - of.per_hour;
    let mut out = format!("{} costs {} an hour and {} a month", of.level, of.per_hour, cents(of.per_month));
    if saved > Money(0) {
        let _ = write!(out, "; that saves {saved} an hour");
    }
    out.push_str(".\n");
    if !of.kept.is_empty() {
        let _ = writeln!(out, "Kept: {}.", of.kept.join(", "));
    }
    let _ = writeln!(out, "{}.", page.style.commands(&of.back));
    words::sentence(&out)
}

fn table(page: &Page, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = bare(page);
    table.add_row(Row::from(head.iter().enumerate().map(|(i, text)| cell(i, text)).collect::<Vec<_>>()));
    for row in rows {
        table.add_row(Row::from(row.iter().enumerate().map(|(i, text)| cell(i, text)).collect::<Vec<_>>()));
    }
    table.trim_fmt()
}

/// Words stand to the left, figures to the right.
fn cell(column: usize, text: &str) -> Cell {
    let cell = Cell::new(text);
    if column == 0 { cell } else { cell.set_alignment(CellAlignment::Right) }
}
