package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// defaultEndpoint is where `stagedoor dev` listens.
const defaultEndpoint = "http://127.0.0.1:6420"

// answerMargin is how much longer than the deadline of a call its answer is waited for.
const answerMargin = 10 * time.Second

// maxAnswer is far over what a gateway answers to these requests.
const maxAnswer = 64 << 20

// client speaks to the HTTP endpoints of a running gateway.
type client struct {
	http      http.Client
	endpoint  string
	token     string
	namespace string
	deadline  time.Duration
}

// gatewayError is an error answer.
type gatewayError struct {
	Group    string          `json:"group"`
	Code     string          `json:"code"`
	Message  string          `json:"message"`
	Metadata json.RawMessage `json:"metadata"`
}

// Error is the code and the text.
func (e *gatewayError) Error() string {
	text := e.Group + "." + e.Code + ": " + e.Message
	if len(e.Metadata) > 0 {
		text += " " + string(e.Metadata)
	}
	return text
}

// actorPath is the path of an actor, from the address form that URLs use.
func (c *client) actorPath(segment string) (string, error) {
	namespace := c.namespace
	if namespace == "" {
		namespace = "default"
	}
	if _, _, err := address.ParseSegment(segment, namespace); err != nil {
		return "", usageError{fmt.Errorf("%w; write type:part:part with each part percent-encoded, or @ and an actor id", err)}
	}
	return "/v1/actors/" + segment, nil
}

// do sends a request and decodes the answer into result, unless that is nil. path is escaped already.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body, result any) error {
	ctx, cancel := context.WithTimeout(ctx, c.deadline+answerMargin)
	defer cancel()
	request, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return fmt.Errorf("client.unreachable: the gateway at %s cannot be reached (--endpoint): %w", c.endpoint, err)
	}
	defer c.http.CloseIdleConnections()
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client.invalid_response: read the answer: %w", err)
	}
	return decode(response, content, result)
}

func (c *client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	base := strings.TrimSuffix(c.endpoint, "/")
	for web, plain := range map[string]string{"ws://": "http://", "wss://": "https://"} {
		if rest, ok := strings.CutPrefix(base, web); ok {
			base = plain + rest
		}
	}
	if query == nil {
		query = url.Values{}
	}
	if c.namespace != "" {
		query.Set("namespace", c.namespace)
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, usageError{fmt.Errorf("endpoint %q: %w", c.endpoint, err)}
	}
	c.addHeaders(request, body != nil)
	return request, nil
}

func (c *client) addHeaders(request *http.Request, hasBody bool) {
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Stagedoor-Deadline-Ms", fmt.Sprint(c.deadline.Milliseconds()))
	if hasBody {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
}

func decode(response *http.Response, content []byte, result any) error {
	if response.StatusCode >= http.StatusBadRequest {
		var answer struct {
			Error *gatewayError `json:"error"`
		}
		if err := json.Unmarshal(content, &answer); err != nil || answer.Error == nil || answer.Error.Code == "" {
			return fmt.Errorf("client.invalid_response: %s without a reason; is it a Stagedoor gateway?", response.Status)
		}
		return answer.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(content, result); err != nil {
		return fmt.Errorf("client.invalid_response: decode the answer: %w", err)
	}
	return nil
}
