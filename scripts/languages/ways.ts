/**
 * How the recipes of a language are run: each becomes a program that reads commands of stdin, a line each, with tabs
 * between their parts, and answers each with a line.
 *
 *     pay <invoice>                                             ok, or refused
 *     receive <id> <timestamp> <signatures> <body in base64>    the status
 */
import { SNIPPETS } from '../../src/secrets/verify-snippets.ts'
import { prisma } from './prisma.ts'
import type { Way } from './way.ts'

const snippet = (extension: string): string =>
  SNIPPETS.find((each) => each.extension === extension)?.code ?? ''

const python = (library: string, connect: string, pay: string, receive: string): Way => ({
  name: `python ${library}`,
  needs: PYTHON,
  ask: ASK_PIP,
  files: (producer, receiver) => ({
    'main.py': `import base64, os, sys
url, secret = os.environ["DATABASE_URL"], os.environ["WEBHOOK_SECRET"]
${connect}
${producer}
${receiver}
for line in sys.stdin:
    name, *args = line.rstrip("\\n").split("\\t")
    if name == "pay":
        try:
            ${pay}
            print("ok", flush=True)
        except Exception:
            print("refused", flush=True)
    else:
        headers = dict(zip(["webhook-id", "webhook-timestamp", "webhook-signature"], args))
        print(${receive}, flush=True)
`,
  }),
  build: [pipInstall(PYTHON_PACKAGES)],
  run: ['env', 'PYTHONPATH=libraries', 'python3', 'main.py'],
})

export const PYTHON = ['python3', 'pip3'] as const
/** pip's own question, so that it goes to the index that pip is set to. */
export const ASK_PIP = ['pip3', 'index', 'versions', 'standardwebhooks'] as const

/** Into the folder `libraries`, unless these are there; a bare Debian has no venv. */
export function pipInstall(packages: readonly string[]): readonly string[] {
  const [folder, stamp] = ['libraries', 'libraries/.packages']
  const wanted = packages.join(' ')
  const script = `[ "$(cat ${stamp} 2>/dev/null)" = '${wanted}' ] && exit
    rm -rf ${folder}
    pip3 install --quiet --disable-pip-version-check --target ${folder} "$@" && printf %s '${wanted}' >${stamp}`
  return ['sh', '-c', script, 'sh', ...packages]
}

const PYTHON_PACKAGES = [
  'psycopg[binary]==3.3.9',
  'sqlalchemy==2.1.9',
  'django==5.2.19',
  'standardwebhooks==1.1.0',
]

const go = (library: string, imports: string[], pool: string): Way => ({
  name: `go ${library}`,
  needs: ['go'],
  ask: ['go', 'list', '-m', 'github.com/jackc/pgx/v5@v5.13.0'],
  files: (producer, receiver) => ({
    'go.mod': `module recipe
go 1.25
require (
	github.com/jackc/pgx/v5 v5.13.0
	github.com/standard-webhooks/standard-webhooks/libraries v0.0.1
)
`,
    'main.go': `package main
import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	${imports.join('\n\t')}
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)
${producer}
${receiver}
func main() {
	ctx := context.Background()
	${pool}
	if err != nil { panic(err) }
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		args := strings.Split(lines.Text(), "\\t")
		if args[0] == "pay" {
			invoice, _ := strconv.Atoi(args[1])
			if pay(ctx, pool, invoice) == nil { fmt.Println("ok") } else { fmt.Println("refused") }
			continue
		}
		headers := http.Header{}
		headers.Set("webhook-id", args[1])
		headers.Set("webhook-timestamp", args[2])
		headers.Set("webhook-signature", args[3])
		body, _ := base64.StdEncoding.DecodeString(args[4])
		status, err := receive(ctx, pool, os.Getenv("WEBHOOK_SECRET"), body, headers)
		if err != nil { fmt.Println(err) } else { fmt.Println(status) }
	}
}
`,
  }),
  build: [
    ['go', 'mod', 'tidy'],
    ['go', 'build', '-o', 'recipe', '.'],
  ],
  run: ['./recipe'],
})

/** Maven's coordinates. */
const JAVA_LIBRARIES = [
  ['org.postgresql', 'postgresql', '42.7.7'],
  ['com.standardwebhooks', 'standardwebhooks', '1.1.0'],
  ['org.springframework', 'spring-context', '6.2.8'],
  ['org.springframework', 'spring-jdbc', '6.2.8'],
] as const

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>recipe</groupId><artifactId>recipe</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties><dependencies>
${JAVA_LIBRARIES.map(
  ([group, artifact, version]) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
).join('\n')}
</dependencies></project>
`

const java = (library: string, members: (producer: string) => string, pay: string): Way => ({
  name: `java ${library}`,
  receiver: 'java jdbc',
  needs: ['java', 'mvn'],
  files: (producer, receiver) => ({
    'pom.xml': POM,
    'src/main/java/Main.java': `import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import java.net.http.HttpHeaders;
import java.sql.*;
import java.util.*;
import org.springframework.context.annotation.*;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.*;
import org.springframework.transaction.annotation.*;
public class Main {
${members(producer)}
${receiver}
public static void main(String[] unused) throws Exception {
    var connection = DriverManager.getConnection(System.getenv("JDBC_URL"));
    for (var lines = new Scanner(System.in, "UTF-8"); lines.hasNextLine();) {
        var args = lines.nextLine().split("\\t");
        if (args[0].equals("pay")) {
            var invoice = Integer.parseInt(args[1]);
            try {
                ${pay}
                System.out.println("ok");
            } catch (Exception error) {
                System.out.println("refused");
            }
        } else {
            var headers = HttpHeaders.of(Map.of("webhook-id", List.of(args[1]),
                "webhook-timestamp", List.of(args[2]), "webhook-signature", List.of(args[3])), (a, b) -> true);
            var body = new String(Base64.getDecoder().decode(args[4]), "UTF-8");
            System.out.println(receive(connection, System.getenv("WEBHOOK_SECRET"), body, headers));
        }
    }
}
}
`,
  }),
  build: [['mvn', '-q', '-B', 'package', 'dependency:copy-dependencies']],
  run: ['java', '-cp', 'target/classes:target/dependency/*', 'Main'],
})

const SPRING = (producer: string): string => `
@Configuration @EnableTransactionManagement
public static class Config {
    @Bean public DriverManagerDataSource source() { return new DriverManagerDataSource(System.getenv("JDBC_URL")); }
    @Bean public DataSourceTransactionManager manager() { return new DataSourceTransactionManager(source()); }
    @Bean public JdbcTemplate jdbc() { return new JdbcTemplate(source()); }
    @Bean public Invoices invoices() { return new Invoices(jdbc()); }
}
public static class Invoices {
    private final JdbcTemplate jdbc;
    public Invoices(JdbcTemplate jdbc) { this.jdbc = jdbc; }
${producer}
}
static final Invoices INVOICES = new AnnotationConfigApplicationContext(Config.class).getBean(Invoices.class);
`

const ruby = (library: string, connect: string, pay: string, receive: string): Way => ({
  name: `ruby ${library}`,
  needs: ['ruby'],
  probe: ['ruby', '-e', connect.split('\n')[0] ?? ''],
  files: (producer, receiver) => ({
    'main.rb': `${connect}
require 'base64'
${snippet('rb')}
${producer}
${receiver}
$stdout.sync = true
secret = ENV['WEBHOOK_SECRET']
while (line = $stdin.gets)
  name, *args = line.chomp.split("\\t")
  if name == 'pay'
    begin
      ${pay}
      puts 'ok'
    rescue StandardError
      puts 'refused'
    end
  else
    headers = %w[webhook-id webhook-timestamp webhook-signature].zip(args).to_h
    body = Base64.decode64(args[3]).force_encoding('UTF-8')
    puts ${receive}
  end
end
`,
  }),
  run: ['ruby', 'main.rb'],
})

const php: Way = {
  name: 'php pdo',
  needs: ['php'],
  probe: ['php', '-r', 'exit(in_array("pgsql", PDO::getAvailableDrivers()) ? 0 : 1);'],
  files: (producer, receiver) => ({
    'main.php': `${snippet('php')}
${producer}
${receiver}
$pdo = new PDO(getenv('PDO_DSN'));
while (($line = fgets(STDIN)) !== false) {
    $args = explode("\\t", rtrim($line, "\\n"));
    if ($args[0] === 'pay') {
        try {
            pay($pdo, (int) $args[1]);
            echo "ok\\n";
        } catch (Throwable $error) {
            echo "refused\\n";
        }
    } else {
        $headers = array_combine(['webhook-id', 'webhook-timestamp', 'webhook-signature'], array_slice($args, 1, 3));
        echo receive($pdo, getenv('WEBHOOK_SECRET'), base64_decode($args[4]), $headers), "\\n";
    }
}
`,
  }),
  run: ['php', 'main.php'],
}

export const WAYS: readonly Way[] = [
  python(
    'psycopg',
    'import psycopg\nconnection = psycopg.connect(url, autocommit=True)',
    'pay(connection, int(args[0]))',
    'receive(connection, secret, base64.b64decode(args[3]), headers)',
  ),
  python(
    'sqlalchemy',
    'from sqlalchemy import create_engine\nengine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))',
    'pay(engine, int(args[0]))',
    'receive(engine, secret, base64.b64decode(args[3]), headers)',
  ),
  python(
    'django',
    `from urllib.parse import urlparse
from django.conf import settings
to = urlparse(url)
import django
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": to.path[1:],
    "HOST": to.hostname, "PORT": to.port, "USER": to.username, "PASSWORD": to.password}})
django.setup()`,
    'pay(int(args[0]))',
    'receive(secret, base64.b64decode(args[3]), headers)',
  ),
  go(
    'pgx',
    ['"github.com/jackc/pgx/v5"', '"github.com/jackc/pgx/v5/pgxpool"'],
    'pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))',
  ),
  go(
    'database-sql',
    ['"database/sql"', '_ "github.com/jackc/pgx/v5/stdlib"'],
    'pool, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))',
  ),
  java('jdbc', (producer) => producer, 'pay(connection, invoice);'),
  java('spring', SPRING, 'INVOICES.pay(invoice);'),
  ruby(
    'pg',
    "require 'pg'\nconnection = PG.connect(ENV['DATABASE_URL'])",
    'pay(connection, args[0].to_i)',
    'receive(connection, secret, body, headers)',
  ),
  ruby(
    'active-record',
    `require 'active_record'
ActiveRecord::Base.establish_connection(ENV['DATABASE_URL'])
ActiveRecord::Base.pluralize_table_names = false
class Invoice < ActiveRecord::Base; end
class Booking < ActiveRecord::Base; end`,
    'pay(args[0].to_i)',
    'receive(secret, body, headers)',
  ),
  php,
  prisma,
]
