// Sends through the server with the published package, and receives what it sends: run by run.ts.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/svix/svix-webhooks/go/models"
)

type request struct {
	headers http.Header
	body    []byte
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	ctx := context.Background()
	server, err := url.Parse(os.Getenv("SVIX_SERVER_URL"))
	check(err)
	client, err := svix.New(os.Getenv("SVIX_TOKEN"), &svix.SvixOptions{ServerUrl: server})
	check(err)
	requests := make(chan request, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- request{r.Header, body}
	}))
	defer receiver.Close()

	uid := fmt.Sprintf("go-%d", time.Now().UnixNano())
	_, err = client.Application.GetOrCreate(ctx, models.ApplicationIn{Name: "Go", Uid: &uid}, nil)
	check(err)
	_, err = client.EventType.Create(ctx, models.EventTypeIn{Name: "user.signup", Description: "A user has signed up"}, nil)
	if refused, ok := err.(*svix.Error); ok && refused.Status() == 409 {
		err = nil
	}
	check(err)
	hook := "hook"
	endpoint, err := client.Endpoint.Create(ctx, uid, models.EndpointIn{
		Url: receiver.URL, Uid: &hook, Channels: []string{"one"}, FilterTypes: []string{"user.signup"}}, nil)
	check(err)
	secret, err := client.Endpoint.GetSecret(ctx, uid, hook)
	check(err)
	webhook, err := svix.NewWebhook(secret.Key)
	check(err)

	payload := map[string]any{"user": "Jürgen", "list": []any{}}
	eventId := "first"
	message, err := client.Message.Create(ctx, uid, models.MessageIn{
		EventType: "user.signup", EventId: &eventId, Channels: []string{"one"}, Payload: payload}, nil)
	check(err)
	received := func() {
		got := <-requests
		check(webhook.Verify(got.body, got.headers))
		var value map[string]any
		check(json.Unmarshal(got.body, &value))
		if !reflect.DeepEqual(value, payload) || got.headers.Get("svix-id") != message.Id {
			panic(string(got.body))
		}
	}
	received()
	for {
		attempts, err := client.MessageAttempt.ListByMsg(ctx, uid, message.Id, nil)
		check(err)
		if len(attempts.Data) > 0 && attempts.Data[0].Status == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	_, err = client.MessageAttempt.Resend(ctx, uid, message.Id, endpoint.Id, nil)
	check(err)
	received()
	check(client.Application.Delete(ctx, uid))
}
