// Package archtest holds the rules of which package may import which, and the
// test that keeps them. The rules are DESIGN's picture of the rooms: a new arrow
// between two rooms is a decision, so it fails here until somebody takes it.
package archtest
