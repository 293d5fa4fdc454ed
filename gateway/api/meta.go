package api

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stagedoor-dev/stagedoor/gateway/auth"
	"github.com/stagedoor-dev/stagedoor/gateway/stats"
	"github.com/stagedoor-dev/stagedoor/internal/wire"
)

// healthz answers while the process lives [HTTP-6].
func (h *Handler) healthz(w http.ResponseWriter, r *http.Request) {
	h.reply(w, r, http.StatusOK, map[string]any{"status": "ok"})
}

// readyz answers whether the gateway can serve, and what it lacks [HTTP-6].
func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	reasons := h.cfg.Ready(r.Context())
	if len(reasons) > 0 {
		h.reply(w, r, http.StatusServiceUnavailable, map[string]any{"ready": false, "reasons": reasons})
		return
	}
	h.reply(w, r, http.StatusOK, map[string]any{"ready": true})
}

// metadata tells what this gateway is and speaks. It needs no token: a client reads it before it has one.
func (h *Handler) metadata(w http.ResponseWriter, r *http.Request) {
	about := map[string]any{
		"name": "stagedoor", "version": h.cfg.Version, "gateway": h.cfg.Session.Gateway, "region": h.cfg.Region,
		"development": h.cfg.Session.Development,
		"protocols": map[string]any{
			"client": []string{wire.SubprotocolClientProto, wire.SubprotocolClientJSON},
			"runner": map[string]any{"min": wire.ProtocolMin, "max": wire.ProtocolMax, "features": wire.RunnerFeatures()},
		},
		"limits": limitTable(h.limits),
	}
	if h.cfg.Certificates != nil {
		var hashes []string
		for _, sum := range h.cfg.Certificates() {
			hashes = append(hashes, base64.StdEncoding.EncodeToString(sum[:]))
		}
		about["certificateHashes"] = hashes
	}
	h.reply(w, r, http.StatusOK, about)
}

// limitTable is the table of limits by the names that the protocols announce them with [LIMIT-1].
func limitTable(l wire.Limits) map[string]int64 {
	table, names := reflect.ValueOf(l), strings.NewReplacer("MaxFrame", "MaxMessage", "KV", "Kv")
	limits := map[string]int64{}
	for i := range table.NumField() {
		name := names.Replace(table.Type().Field(i).Name)
		limits[strings.ToLower(name[:1])+name[1:]] = table.Field(i).Int()
	}
	return limits
}

func (h *Handler) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.authenticate(w, r, auth.Admin); ok {
		h.answerDeadline(w)
		h.metrics.ServeHTTP(w, r)
	}
}

// metricsHandler publishes the gateway's counters and those of the process.
func metricsHandler(s *stats.Stats) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, g *stats.Gauge) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "stagedoor_" + name, Help: help},
			func() float64 { return float64(g.Value()) }))
	}
	counter := func(name, help string, c *stats.Counter) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "stagedoor_" + name + "_total", Help: help},
			func() float64 { return float64(c.Value()) }))
	}
	gauge("sessions", "Client sessions that are open.", &s.Sessions)
	gauge("connections", "Connections that actors have accepted.", &s.Connections)
	gauge("links", "Runner links past their handshake.", &s.Links)
	gauge("actors", "Actors with a living incarnation.", &s.Actors)
	counter("calls", "Calls taken from clients.", &s.Calls)
	counter("call_errors", "Calls answered with an error.", &s.CallErrors)
	counter("events", "Events emitted by actors, after the gate.", &s.Events)
	counter("deliveries", "Events queued for clients.", &s.Deliveries)
	counter("commits", "Commits acknowledged.", &s.Commits)
	counter("commits_refused", "Commits refused for good.", &s.CommitsRefused)
	counter("commits_unknown", "Commit attempts with unknown outcome.", &s.CommitsUnknown)
	counter("starts", "Actor starts.", &s.Starts)
	counter("start_failures", "Actor starts that did not become ready.", &s.StartFailures)
	counter("links_lost", "Runner links that ended without Goodbye.", &s.LinksLost)
	counter("slow_readers", "Sessions closed because they did not read.", &s.SlowReaders)
	counter("unreliable_dropped", "Unreliable events that would have had to wait for their client.", &s.UnreliableDropped)
	counter("invalid_reports", "Actors fenced because their runner broke the protocol.", &s.InvalidReports)
	counter("errors_replaced", "Error codes that their sender may not send.", &s.ErrorsReplaced)
	counter("frames_malformed", "Frames that could not be decoded.", &s.FramesMalformed)
	counter("connections_unserved", "Clients' connections that ended before they brought a whole request.", &s.Unserved)
	counter("hung_actors", "Actors fenced because they left a call or an open unanswered.", &s.Hung)
	counter("adoptions", "Actors that went on with their memory after the session of their runner was lost.", &s.Adopted)
	s.EachLimit(func(name string, reached *stats.Counter) {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "stagedoor_limit_reached_total", Help: "Messages, requests and sessions that reached a limit.",
			ConstLabels: prometheus.Labels{"limit": name},
		}, func() float64 { return float64(reached.Value()) }))
	})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
