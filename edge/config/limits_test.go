package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// [LIMIT-1]: every limit is a setting, by the name that its counter has, and its default is one that may be set.
func TestEveryLimitIsASetting(t *testing.T) {
	counted := map[string]bool{}
	new(stats.Stats).EachLimit(func(name string, _ *stats.Counter) { counted["limit_"+name] = true })
	defaults := wire.DefaultLimits()
	for _, s := range limitSettings(&defaults) {
		if !counted[s.Key] {
			t.Errorf("%s: no counter has this name", s.Key)
		}
		if err := s.set([]string{s.Value()}); err != nil {
			t.Errorf("%s = %s, its default: %v", s.Key, s.Value(), err)
		}
	}
	if n := reflect.TypeFor[wire.Limits]().NumField(); len(limitHelp) != n {
		t.Errorf("%d limits are explained, there are %d", len(limitHelp), n)
	}
	if err := checkLimits(defaults); err != nil {
		t.Error(err)
	}
}

// [LIMIT-1]: what is allowed fits into what has to carry it.
func TestLimitsThatContradictEachOther(t *testing.T) {
	for _, o := range limitOrder {
		l := wire.DefaultLimits()
		table := reflect.ValueOf(&l).Elem()
		table.FieldByName(o.small).SetInt(table.FieldByName(o.large).Int() - int64(o.wrapped) + 1)
		if err := checkLimits(l); err == nil || !strings.Contains(err.Error(), "STAGEDOOR_LIMIT_") {
			t.Errorf("%s over %s: %v", o.small, o.large, err)
		}
	}
	for _, change := range []func(*wire.Limits){
		func(l *wire.Limits) { l.EventWindow = 2 * l.MaxEvent },
		func(l *wire.Limits) { l.MaxUnacked = wire.MaxStep },
	} {
		l := wire.DefaultLimits()
		change(&l)
		if checkLimits(l) == nil {
			t.Errorf("accepted: %+v", l)
		}
	}
}
