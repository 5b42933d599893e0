// @ts-check
// The one entry of every npm script. Runs before anything is installed: Node's own modules only, and nothing imported
// statically, so that an old Node still gets as far as the sentence about its version.

const OLDEST = [20, 19];
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(
    `Concordat needs Node.js ${OLDEST.join('.')} or later, and this is ${process.versions.node}. Install a newer one from https://nodejs.org.`,
  );
  process.exitCode = 1;
} else {
  const { perform } = await import('./verbs.mjs');
  process.exitCode = await perform(process.argv.slice(2));
}
// Whatever handle is still open (a pipe, a timer), the work is done.
process.exit();
