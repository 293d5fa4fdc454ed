package config

import "log/slog"

// Secret is a text that no formatting, logging or encoding shows.
type Secret string

const redacted = "[redacted]"

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string { return redacted }

// GoString hides it from %#v too.
func (s Secret) GoString() string { return redacted }

// LogValue hides it in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides it in JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal is the texts of secrets.
func Reveal(secrets []Secret) []string {
	texts := make([]string, len(secrets))
	for i, s := range secrets {
		texts[i] = s.Reveal()
	}
	return texts
}
