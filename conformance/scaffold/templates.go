package scaffold

import "github.com/stagedoor-dev/stagedoor/conformance/adapters"

// templates are the apps by language.
var templates = map[string]template{
	"go": {
		sources: adapters.Go,
		files:   map[string]string{"go.mod": goMod, ".gitignore": "/contract-app\n"},
		next: []string{
			"go get github.com/stagedoor-dev/stagedoor@latest",
			"go build -o contract-app .",
			"conform run --runner ./contract-app",
		},
	},
	"js": {
		sources: adapters.JS,
		folder:  "src/",
		files:   map[string]string{"package.json": packageJSON, "tsconfig.json": tsconfigJSON, ".gitignore": "node_modules/\ndist/\n"},
		next: []string{
			"npm install",
			"npm run build",
			"conform run --runner 'node dist/main.js'",
		},
	},
}

const goMod = `module contract-app

go 1.26.0
`

const packageJSON = `{
  "name": "contract-app",
  "private": true,
  "type": "module",
  "engines": {
    "node": ">=20.19"
  },
  "scripts": {
    "build": "tsc",
    "start": "node dist/main.js"
  },
  "dependencies": {
    "stagedoor": "^0.1.0"
  },
  "devDependencies": {
    "@types/node": "^20.19.0",
    "typescript": "~5.9.3"
  }
}
`

const tsconfigJSON = `{
  "compilerOptions": {
    "target": "es2022",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": ["node"],
    "module": "nodenext",
    "strict": true,
    "exactOptionalPropertyTypes": true,
    "noUncheckedIndexedAccess": true,
    "verbatimModuleSyntax": true,
    "erasableSyntaxOnly": true,
    "rewriteRelativeImportExtensions": true,
    "skipLibCheck": true,
    "rootDir": "src",
    "outDir": "dist"
  },
  "include": ["src"]
}
`
