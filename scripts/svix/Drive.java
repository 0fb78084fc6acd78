// Sends through the server with the published package, and receives what it sends: run by run.ts.
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import com.svix.Svix;
import com.svix.SvixOptions;
import com.svix.Webhook;
import com.svix.exceptions.ApiException;
import com.svix.models.ApplicationIn;
import com.svix.models.EndpointIn;
import com.svix.models.EventTypeIn;
import com.svix.models.MessageIn;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpHeaders;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public class Drive {
    record Request(HttpHeaders headers, String body) {}

    static final LinkedBlockingQueue<Request> requests = new LinkedBlockingQueue<>();
    static final String PAYLOAD = "{\"user\":\"J\\u00fcrgen\",\"list\":[]}";

    public static void main(String[] unused) {
        try {
            drive();
            System.exit(0);
        } catch (Throwable error) {
            error.printStackTrace();
            // The receiver would go on.
            System.exit(1);
        }
    }

    static void drive() throws Exception {
        var options = new SvixOptions();
        options.setServerUrl(System.getenv("SVIX_SERVER_URL"));
        var svix = new Svix(System.getenv("SVIX_TOKEN"), options);
        var receiver = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        receiver.createContext("/", exchange -> {
            var body = new String(exchange.getRequestBody().readAllBytes(), "UTF-8");
            requests.add(new Request(HttpHeaders.of(Map.copyOf(exchange.getRequestHeaders()), (a, b) -> true), body));
            exchange.sendResponseHeaders(204, -1);
        });
        receiver.start();

        var uid = "java-" + System.nanoTime();
        svix.getApplication().getOrCreate(new ApplicationIn().name("Java").uid(uid));
        try {
            svix.getEventType().create(new EventTypeIn().name("user.signup").description("A user has signed up"));
        } catch (ApiException error) {
            if (error.getCode() != 409) throw error;
        }
        var url = URI.create("http://127.0.0.1:" + receiver.getAddress().getPort() + "/hook");
        var endpoint = svix.getEndpoint().create(uid, new EndpointIn()
            .url(url).uid("hook").channels(Set.of("one")).filterTypes(Set.of("user.signup")));
        var webhook = new Webhook(svix.getEndpoint().getSecret(uid, "hook").getKey());

        var message = svix.getMessage().create(uid, new MessageIn()
            .eventType("user.signup").eventId("first").channels(Set.of("one")).payload(PAYLOAD));
        received(webhook, message.getId());
        while (svix.getMessageAttempt().listByMsg(uid, message.getId()).getData().isEmpty()) Thread.sleep(100);
        // Its resend fails before it sends anything: a POST without a body, which its HTTP library refuses.
        var destinations = svix.getMessageAttempt().listAttemptedDestinations(uid, message.getId()).getData();
        if (!destinations.get(0).getId().equals(endpoint.getId())) throw new AssertionError(destinations);
        svix.getApplication().delete(uid);
    }

    static void received(Webhook webhook, String id) throws Exception {
        var request = requests.poll(60, TimeUnit.SECONDS);
        webhook.verify(request.body(), request.headers().map());
        var json = new ObjectMapper();
        if (!json.readTree(request.body()).equals(json.readTree(PAYLOAD))) throw new AssertionError(request.body());
        if (!request.headers().allValues("svix-id").equals(List.of(id))) throw new AssertionError(id);
    }
}
