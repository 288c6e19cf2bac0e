//! What things cost, as pages of text.

use super::shown::{Cell, Grid, Shown};
use super::style::Page;
use super::words;
use crate::answer::{Costs, Settled};
use crate::domain::cost::Money;
use crate::domain::estimate::{Ingress, Rest};
use crate::domain::text::{count, list};

/// `$24.63`: a month's sum needs no more than cents.
fn cents(money: Money) -> String {
    format!("${:.2}", f64::from(money))
}

pub(super) fn costs(of: &Costs, page: &Page) -> Shown {
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
    let head = format!(
        "{meetings} of {} h with {people} people, {rest}, {way}: {:.0} GB out, {} each",
        usage.meeting_hours,
        of.month.egress_gb,
        cents(each.into())
    );
    let mut out = Shown::default();
    let first = "The project's first table, without traffic, next to what such months cost";
    for (head, table) in [("What a level costs while it lasts", levels), (first, seed), (&head, month)] {
        out += Shown::line(head);
        out += "\n";
        out += table;
        out += "\n";
    }
    out += Shown::line(&format!(
        "Rates: {}. Traffic is an upper bound, all cameras on. Not counted: {}.",
        of.rates, of.not_counted
    ));
    out
}

pub(super) fn settled(of: &Settled, page: &Page) -> Shown {
    let less = of.before - of.per_hour;
    let saving = if less > Money(0) { format!("; that saves {less} an hour") } else { String::new() };
    let cost = format!("{} costs {} an hour and {} a month{saving}.", of.level, of.per_hour, cents(of.per_month));
    let mut out = Shown::line(&words::sentence(&cost));
    if !of.kept.is_empty() {
        out += Shown::line(&format!("Kept: {}.", list(&of.kept, ", ")));
    }
    out += Shown::with_commands(page.style, &format!("{}.", of.back));
    out += "\n";
    out
}

fn table(page: &Page, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Shown {
    let mut grid = Grid::new(page);
    grid.row(head.iter().enumerate().map(|(i, text)| cell(i, text)));
    for row in rows {
        grid.row(row.iter().enumerate().map(|(i, text)| cell(i, text)));
    }
    grid.shown()
}

/// Words stand to the left, figures to the right.
fn cell(column: usize, text: &str) -> Cell {
    let cell = Cell::new(text);
    if column == 0 { cell } else { cell.right() }
}
