"use strict";
// Plays a stretch of a sound, once or again and again, to the sample.

const FADE = 0.005; // seconds: a stretch that begins or ends loud does not click
let speakers = null; // one for the page, made at the first press of a button: browsers ask for that

class Player {
  constructor(ended) {
    Object.assign(this, {ended, source: null});
  }

  // buffer: an AudioBuffer. time: where to begin, within [from, to]; all in seconds.
  start(buffer, time, [from, to], loop) {
    this.stop();
    speakers ??= new AudioContext();
    speakers.resume();
    const source = speakers.createBufferSource(), volume = speakers.createGain(), now = speakers.currentTime;
    Object.assign(source, {buffer, loop, loopStart: from, loopEnd: to});
    source.connect(volume).connect(speakers.destination);
    volume.gain.setValueAtTime(0, now);
    volume.gain.linearRampToValueAtTime(1, now + FADE);
    if (loop) source.start(now, time);
    else {
      source.start(now, time, to - time);
      if (to - time > 2 * FADE) {
        volume.gain.setValueAtTime(1, now + to - time - FADE);
        volume.gain.linearRampToValueAtTime(0, now + to - time);
      }
    }
    source.onended = () => { if (this.source === source) { this.source = null; this.ended(); } };
    Object.assign(this, {source, volume, now, first: time, from, to, loop});
  }

  stop() {
    const source = this.source;
    if (!source) return;
    this.source = null;
    this.volume.gain.cancelScheduledValues(speakers.currentTime);
    this.volume.gain.setTargetAtTime(0, speakers.currentTime, FADE / 3);
    source.stop(speakers.currentTime + FADE);
  }

  // What is heard now, in seconds of the sound.
  get time() {
    const time = this.first + Math.max(0, speakers.currentTime - this.now - (speakers.outputLatency || 0));
    if (time < this.to) return time;
    return this.loop ? this.from + (time - this.from) % (this.to - this.from) : this.to;
  }
}
