/** The SDKs of Svix as their registries have them, and what is run of each. */
export interface Sdk {
  name: string
  /** Programs that it takes. */
  needs: readonly string[]
  /** Besides the program of this folder. */
  files?: Record<string, string>
  /** Programs of this folder that are copied to where it is run. */
  programs: readonly string[]
  /** Fetches the package and compiles. */
  build: readonly (readonly string[])[]
  /** Its own suite where the package has one, and ours. */
  runs: readonly (readonly string[])[]
  env?: Record<string, string>
}

const TSC =
  'node_modules/.bin/tsc --target es2022 --module commonjs --moduleResolution node --ignoreDeprecations 5.0 ' +
  '--esModuleInterop --skipLibCheck --noCheck --types node --outDir out suite/KitchenSink.test.ts'

/** @param types how this generation calls the event types of an endpoint */
const javascript = (version: string, types: string): Sdk => ({
  name: `npm svix ${version}`,
  needs: ['npm'],
  programs: ['drive.mjs'],
  files: { 'package.json': '{"private":true}' },
  build: [
    [
      ...['npm', 'install', '--silent', '--no-audit', '--no-fund', '--no-package-lock'],
      ...[`svix@${version}`, 'typescript@5.9.3', '@types/node@24.10.1'],
    ],
    ['rm', '-rf', 'suite', 'out'],
    ['cp', '-r', 'node_modules/svix/src', 'suite'],
    TSC.split(' '),
  ],
  runs: [
    ['node', '--test', 'out/KitchenSink.test.js'],
    ['node', 'drive.mjs'],
  ],
  env: { SVIX_TYPES: types },
})

const python: Sdk = {
  name: 'pypi svix 2.9.1',
  needs: ['python3'],
  programs: ['drive.py'],
  build: [
    ['python3', '-m', 'venv', 'venv'],
    ['venv/bin/pip', 'install', '--quiet', '--disable-pip-version-check', 'svix==2.9.1'],
  ],
  runs: [['venv/bin/python', 'drive.py']],
}

const GO = 'github.com/svix/svix-webhooks'
const go: Sdk = {
  name: 'go svix-webhooks v1.99.1',
  needs: ['go'],
  programs: ['drive.go'],
  files: {
    'go.mod': `module drive\ngo 1.23\nrequire (\n\t${GO} v1.99.1\n\tgithub.com/jarcoal/httpmock v1.4.2\n)\n`,
    // The suite of the package imports it.
    'tools.go': '//go:build tools\n\npackage main\n\nimport _ "github.com/jarcoal/httpmock"\n',
  },
  build: [
    ['go', 'mod', 'tidy'],
    ['go', 'build', '-o', 'drive', '.'],
  ],
  runs: [
    ['go', 'test', '-count=1', '-run', 'TestKitchenSink|AgainstServer', `${GO}/go`],
    ['./drive'],
  ],
}

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>drive</groupId><artifactId>drive</artifactId><version>1</version><dependencies><dependency>
<groupId>com.svix</groupId><artifactId>svix</artifactId><version>1.99.1</version></dependency></dependencies></project>
`
const java: Sdk = {
  name: 'maven com.svix:svix 1.99.1',
  needs: ['java', 'mvn'],
  programs: ['Drive.java'],
  files: { 'pom.xml': POM },
  build: [
    ['mvn', '-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'],
    ['javac', '-cp', 'lib/*', 'Drive.java'],
  ],
  runs: [['java', '-cp', 'lib/*:.', 'Drive']],
}

export const SDKS: readonly Sdk[] = [
  javascript('1.99.1', 'filterTypes'),
  javascript('2.5.0', 'eventTypes'),
  python,
  go,
  java,
]
