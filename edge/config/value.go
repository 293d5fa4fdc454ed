package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The kinds of settings. Each constructor binds a setting to its field; the checks are in check.go.

func single(set func(string) error) func([]string) error {
	return func(texts []string) error {
		if len(texts) != 1 {
			return errors.New("one value is wanted, not a list")
		}
		return set(texts[0])
	}
}

func text(key, form, help string, field *string, check func(string) error) Setting {
	return Setting{
		Key: key, Form: form, Help: help,
		show: func() string { return *field },
		set: single(func(t string) error {
			if err := check(t); err != nil {
				return err
			}
			*field = t
			return nil
		}),
	}
}

func texts(key, form, help string, field *[]string, check func(string) error) Setting {
	return Setting{
		Key: key, Form: form, Help: help, Repeats: true,
		show: func() string { return strings.Join(*field, ",") },
		set: func(texts []string) error {
			for _, t := range texts {
				if err := check(t); err != nil {
					return err
				}
			}
			*field = append([]string(nil), texts...)
			return nil
		},
	}
}

func prefixes(key, help string, field *[]netip.Prefix) Setting {
	return Setting{
		Key: key, Form: "cidr", Help: help, Repeats: true,
		show: func() string {
			var all []string
			for _, p := range *field {
				all = append(all, p.String())
			}
			return strings.Join(all, ",")
		},
		set: func(texts []string) error {
			var all []netip.Prefix
			for _, t := range texts {
				p, err := netip.ParsePrefix(t)
				if err != nil {
					return errors.New("write an address and the length of its prefix, such as 10.0.0.0/8")
				}
				all = append(all, p)
			}
			*field = all
			return nil
		},
	}
}

func integer(key, form, help string, field *int, least, most int) Setting {
	return Setting{
		Key: key, Form: form, Help: help,
		show: func() string { return strconv.Itoa(*field) },
		set: single(func(t string) error {
			v, err := strconv.Atoi(t)
			if err != nil || v < least || v > most {
				return fmt.Errorf("write a number from %d to %d", least, most)
			}
			*field = v
			return nil
		}),
	}
}

// store is a text that may hold a password.
func store(field *string) Setting {
	s := text("store", "store", "where durable state lives: embedded, or redis://[user:password@]host:port", field, checkStore)
	s.hidden = true
	s.show = func() string { return withoutSecrets(*field) }
	return s
}

// withoutSecrets is a store's URL without user and parameters. It is no URL as net/url knows them: it may have several hosts.
func withoutSecrets(t string) string {
	scheme, rest, found := strings.Cut(t, "://")
	if !found {
		return t
	}
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "redacted@" + rest[at+1:]
	}
	return scheme + "://" + rest
}

func secrets(key, help string, field *[]Secret) Setting {
	return Setting{
		Key: key, Form: "token", Help: help, Repeats: true, hidden: true,
		show: func() string {
			if len(*field) == 0 {
				return ""
			}
			return fmt.Sprintf("[%d redacted]", len(*field))
		},
		set: func(texts []string) error {
			var all []Secret
			for _, t := range texts {
				if err := checkToken(t); err != nil {
					return err
				}
				all = append(all, Secret(t))
			}
			*field = all
			return nil
		},
	}
}

func boolean(key, help string, field *bool) Setting {
	return Setting{
		Key: key, Help: help, Switch: true,
		show: func() string { return strconv.FormatBool(*field) },
		set: single(func(t string) error {
			v, err := strconv.ParseBool(t)
			if err != nil {
				return errors.New("write true or false")
			}
			*field = v
			return nil
		}),
	}
}

func duration(key, help string, field *time.Duration, least, most time.Duration) Setting {
	return Setting{
		Key: key, Form: "duration", Help: help,
		show: func() string { return field.String() },
		set: single(func(t string) error {
			v, err := time.ParseDuration(t)
			if err != nil || v < least || v > most {
				return fmt.Errorf("write a duration from %v to %v, such as 30s", least, most)
			}
			*field = v
			return nil
		}),
	}
}

func level(key, help string, field *slog.Level) Setting {
	return Setting{
		Key: key, Form: "level", Help: help,
		show: func() string { return strings.ToLower(field.String()) },
		set: single(func(t string) error {
			known := map[string]slog.Level{
				"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
			}
			v, ok := known[strings.ToLower(t)]
			if !ok {
				return errors.New("write debug, info, warn or error")
			}
			*field = v
			return nil
		}),
	}
}
