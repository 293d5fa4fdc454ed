//go:build unix

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// maxBody is far over what the gateway answers here.
const maxBody = 1 << 20

// get is the body of a successful answer of the gateway.
func (s *site) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, response.Status, body)
	}
	return body, err
}

// actorState is what an actor is doing; segment is its address as in URLs.
func (s *site) actorState(ctx context.Context, segment string) (string, error) {
	var answer struct {
		Actor struct {
			State string `json:"state"`
		} `json:"actor"`
	}
	body, err := s.get(ctx, "/v1/actors/"+segment)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("describe %s: %w", segment, err)
	}
	return answer.Actor.State, nil
}

// metrics are those of the gateway that have no labels.
func (s *site) metrics() (map[string]float64, error) {
	body, err := s.get(s.ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	found := map[string]float64{}
	for line := range bytes.Lines(body) {
		name, text, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if value, err := strconv.ParseFloat(string(text), 64); err == nil {
			found[string(name)] = value
		}
	}
	return found, nil
}
