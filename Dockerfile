# syntax=docker/dockerfile:1

# The image brings its own Node, and its database is elsewhere: neither the npm package `node` nor
# the embedded Postgres is needed, and both are optional packages.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The compiler comes as an optional package for each platform; no script of any package has to run.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/build.sh scripts/tsconfig.build.json scripts/
COPY sql sql
COPY src src
RUN scripts/build.sh

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
# Of `api`; compose.yaml has another for runners, and none for `migrate`.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/ready`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# By default a busy process on a large machine lets its heap grow to four times what is in use.
ENTRYPOINT ["node", "--max-semi-space-size=16", "--heap-growing-percent=150", "--no-parallel-scavenge", "dist/src/cli.js"]
CMD ["api"]
