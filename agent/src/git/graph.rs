//! How commits stand to one another. Pure: it looks at parents alone, never at a date.

use std::collections::{BTreeMap, BTreeSet};

use super::oid::Oid;

/// Commits and their parents, as far as they are here.
#[derive(Debug, Default)]
pub(super) struct Graph {
    parents: BTreeMap<Oid, Vec<Oid>>,
    /// Commits whose parents are not here.
    cut: BTreeSet<Oid>,
}

/// How a commit stands to those that it has to be on top of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// It is on top of all of them, or the topmost of them. The commits that it brings, itself among them.
    OnTop(BTreeSet<Oid>),
    /// They are on top of it.
    Behind,
    /// It is on top of others.
    Apart,
    /// History ends before it shows.
    Unseen,
}

impl Graph {
    /// From lines of a commit and its parents, and those that are cut.
    pub fn parse(lines: &str, cut: &str) -> Option<Self> {
        let oid = |word: &str| Oid::parse(word).ok();
        let mut parents = BTreeMap::new();
        for line in lines.lines() {
            let mut words = line.split(' ').map(oid);
            parents.insert(words.next()??, words.collect::<Option<Vec<Oid>>>()?);
        }
        Some(Self { parents, cut: cut.lines().map(oid).collect::<Option<_>>()? })
    }

    /// Without floors, a commit brings itself alone: nothing is known of what was before.
    pub fn relation(&self, tip: &Oid, floors: &[Oid]) -> Relation {
        if floors.is_empty() {
            return Relation::OnTop(BTreeSet::from([tip.clone()]));
        }
        let of_tip = self.history([tip]);
        let of_floors = self.history(floors);
        let is_cut = |commits: &BTreeSet<Oid>| commits.iter().any(|commit| self.is_cut(commit));
        if floors.iter().all(|floor| of_tip.contains(floor)) {
            let brought: BTreeSet<Oid> = of_tip.difference(&of_floors).cloned().collect();
            // What is behind a cut could be new as well.
            return if is_cut(&brought) { Relation::Unseen } else { Relation::OnTop(brought) };
        }
        if of_floors.contains(tip) {
            return Relation::Behind;
        }
        if is_cut(&of_tip) { Relation::Unseen } else { Relation::Apart }
    }

    fn is_cut(&self, commit: &Oid) -> bool {
        self.cut.contains(commit) || !self.parents.contains_key(commit)
    }

    /// Commits and all that they are on top of, as far as it is here.
    fn history<'a>(&self, commits: impl IntoIterator<Item = &'a Oid>) -> BTreeSet<Oid> {
        let mut left: Vec<&Oid> = commits.into_iter().collect();
        let mut found: BTreeSet<Oid> = BTreeSet::new();
        while let Some(commit) = left.pop() {
            if found.insert(commit.clone())
                && let Some(parents) = self.parents.get(commit)
            {
                left.extend(parents.iter());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(number: u32) -> Oid {
        Oid::parse(&format!("{number:040x}")).unwrap()
    }

    fn graph(lines: &[&[u32]], cut: &[u32]) -> Graph {
        let line = |line: &&[u32]| line.iter().map(|one| oid(*one).to_string()).collect::<Vec<_>>().join(" ");
        let text: Vec<String> = lines.iter().map(line).collect();
        let cut: Vec<String> = cut.iter().map(|one| oid(*one).to_string()).collect();
        Graph::parse(&text.join("\n"), &cut.join("\n")).unwrap()
    }

    fn on_top(commits: &[u32]) -> Relation {
        Relation::OnTop(commits.iter().map(|one| oid(*one)).collect())
    }

    #[test]
    fn what_a_tip_brings_is_every_commit_since_the_floor() {
        // 1 - 2 - 3 ------ 6 - 7
        //      \- 4 - 5 -/
        let whole: &[&[u32]] = &[&[1], &[2, 1], &[3, 2], &[4, 2], &[5, 4], &[6, 3, 5], &[7, 6]];
        let graph_of = |cut: &[u32]| graph(whole, cut);
        let relation = |tip, floors: &[u32]| {
            graph_of(&[]).relation(&oid(tip), &floors.iter().map(|one| oid(*one)).collect::<Vec<_>>())
        };
        assert_eq!(relation(7, &[6]), on_top(&[7]));
        // Both parents of a merge, and a branch that began before the floor.
        assert_eq!(relation(7, &[3]), on_top(&[4, 5, 6, 7]));
        assert_eq!(relation(7, &[3, 5]), on_top(&[6, 7]));
        assert_eq!(relation(7, &[]), on_top(&[7]));
        assert_eq!(relation(3, &[3]), on_top(&[]));
        assert_eq!(relation(3, &[3, 2]), on_top(&[]));
        assert_eq!(relation(2, &[3]), Relation::Behind);
        assert_eq!(relation(5, &[3]), Relation::Apart);
        assert_eq!(relation(3, &[3, 5]), Relation::Behind);
        assert_eq!(relation(7, &[9]), Relation::Apart);
    }

    #[test]
    fn what_is_behind_a_cut_is_not_taken_for_nothing() {
        // The same without what is below 3 and 5.
        let cut = graph(&[&[3], &[5], &[6, 3, 5], &[7, 6]], &[3, 5]);
        assert_eq!(cut.relation(&oid(7), &[oid(6)]), on_top(&[7]));
        // 5 could be on top of anything.
        assert_eq!(cut.relation(&oid(7), &[oid(3)]), Relation::Unseen);
        assert_eq!(cut.relation(&oid(7), &[oid(2)]), Relation::Unseen);
        assert_eq!(cut.relation(&oid(7), &[oid(3), oid(5)]), on_top(&[6, 7]));
        // A commit that is not here at all.
        assert_eq!(cut.relation(&oid(8), &[oid(3)]), Relation::Unseen);
    }
}
