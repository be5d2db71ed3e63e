package api

import "encoding/json"

// Optional tells apart a field that is left out (Set is false), one that is null
// (Set with a nil Value) and one that has a value. Use it with omitzero.
type Optional[T any] struct {
	Set   bool
	Value *T
}

// Some is a field with a value.
func Some[T any](v T) Optional[T] { return Optional[T]{Set: true, Value: &v} }

// Null is a field that is given as null.
func Null[T any]() Optional[T] { return Optional[T]{Set: true} }

// IsZero reports whether the field is left out.
func (o Optional[T]) IsZero() bool { return !o.Set }

// MarshalJSON writes the value, or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.Value) }

// UnmarshalJSON reads a value or null; either counts as set.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	return json.Unmarshal(data, &o.Value)
}
