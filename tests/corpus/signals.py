"""Spectra, filters and waves: complex numbers and transforms."""

import cmath
import math

import numpy as np
import scipy.fft
from numpy.fft import fft, ifft, irfft, rfft

T = np.arange(16) / 16
RECORD = np.sin(2 * np.pi * 3 * T) + 0.2 * np.cos(2 * np.pi * 5 * T)


def discrete_fourier(x):
    N = len(x)
    X = np.zeros(N, dtype=complex)
    for k in range(N):
        for n in range(N):
            X[k] += x[n] * cmath.exp(-2j * cmath.pi * k * n / N)
    return np.abs(X) ** 2


def band_pass(x):
    spectrum = fft(x)
    frequencies = np.fft.fftfreq(len(x))
    spectrum[np.abs(frequencies) > 0.3] = 0
    return np.real(ifft(spectrum))


def autocorrelation(x):
    n = len(x)
    f = rfft(x - x.mean(), n=2 * n)
    acf = irfft(f * np.conj(f))[:n]
    return acf / acf[0]


def spectral_derivative(u):
    n = u.size
    k = np.fft.fftfreq(n, 1 / n)
    return np.real(ifft(1j * k * fft(u))) * u


def korteweg_de_vries(u):
    k = np.fft.rfftfreq(len(u), d=1 / len(u))
    u_hat = scipy.fft.rfft(u)
    nonlinear = scipy.fft.irfft(1j * k * scipy.fft.rfft(u**2), n=len(u))
    dispersive = scipy.fft.irfft((1j * k) ** 3 * u_hat, n=len(u))
    return -3 * nonlinear - 0.01 * dispersive


def biquad(c):
    b0, b1, b2, a1, a2 = c
    y = np.zeros(len(RECORD))
    for n in range(len(RECORD)):
        y[n] = b0 * RECORD[n]
        if n >= 1:
            y[n] += b1 * RECORD[n - 1] - a1 * y[n - 1]
        if n >= 2:
            y[n] += b2 * RECORD[n - 2] - a2 * y[n - 2]
    return y


def frequency_response(c):
    w = np.linspace(0.1, 3.0, 8)
    z = np.exp(1j * w)
    H = np.polyval(c[:3], z) / np.polyval(np.concatenate(([1.0], c[3:])), z)
    return 20 * np.log10(np.abs(H)), np.angle(H)


def damped_sinusoids(p):
    s = np.zeros_like(T, dtype=complex)
    for amplitude, damping, frequency, phase in p.reshape(-1, 4):
        s += amplitude * np.exp((-damping + 2j * np.pi * frequency) * T + 1j * phase)
    return s.real - RECORD


def goertzel(x):
    w = 2 * math.pi * 3 / len(x)
    c = 2 * math.cos(w)
    s1 = s2 = 0.0
    for v in x:
        s1, s2 = v + c * s1 - s2, s1
    return s1 * s1 + s2 * s2 - c * s1 * s2


def thin_films(thickness):
    """The reflectance of layers, by their characteristic matrices."""
    n0, ns, wavelength = 1.0, 1.52, 550.0
    indices = [2.3, 1.38, 2.3]
    M = np.eye(2, dtype=complex)
    for n, d in zip(indices, thickness):
        delta = 2 * np.pi * n * d / wavelength
        layer = np.array([[np.cos(delta), 1j * np.sin(delta) / n], [1j * n * np.sin(delta), np.cos(delta)]])
        M = M @ layer
    B, C = M @ np.array([1.0, ns])
    r = (n0 * B - C) / (n0 * B + C)
    return abs(r) ** 2


def impedance(p):
    """A battery's circuit over frequencies: list comprehension and complex()."""
    R0, R1, C1, sigma = p
    Z = []
    for f in (0.1, 1.0, 10.0, 100.0):
        w = 2 * math.pi * f
        Z.append(R0 + R1 / (1 + 1j * w * R1 * C1) + sigma / cmath.sqrt(1j * w))
    Z = np.array(Z)
    return np.hstack([Z.real, -Z.imag])


def mel_cepstrum(x):
    windowed = x * np.hanning(len(x))
    power = np.abs(np.fft.rfft(windowed)) ** 2
    bank = np.zeros((3, len(power)))
    for m in range(3):
        bank[m, 2 * m : 2 * m + 3] = [0.5, 1.0, 0.5]
    energies = np.log(bank @ power + 1e-6)
    return scipy.fft.dct(energies, norm="ortho")


def deconvolution(h):
    blurred = np.convolve(RECORD, h / h.sum(), mode="same")
    return np.sum((blurred - np.roll(RECORD, 1)) ** 2)


def phase_retrieval(u):
    field = u[:16].reshape(4, 4) + 1j * u[16:].reshape(4, 4)
    return np.sum((np.abs(np.fft.fft2(field)) - 1.0) ** 2)


def antenna(phases):
    """The power of an array in a direction, summed element by element."""
    field = 0j
    for n, phase in enumerate(phases):
        field += cmath.exp(1j * (n * math.pi * math.sin(0.3) + phase))
    return abs(field) ** 2 / len(phases)


SAMPLES = (np.sin(5 * T) + 0.3 * T + 0.1).tolist()
POINTS = [
    (discrete_fourier, SAMPLES[:6]),
    (band_pass, SAMPLES),
    (autocorrelation, SAMPLES[:10]),
    (spectral_derivative, SAMPLES[:8]),
    (korteweg_de_vries, SAMPLES[:9]),
    (biquad, [0.3, 0.2, 0.1, -0.5, 0.3]),
    (frequency_response, [0.3, 0.2, 0.1, -0.5, 0.3]),
    (damped_sinusoids, [1.0, 0.5, 3.1, 0.2, 0.3, 0.1, 5.2, -0.4]),
    (goertzel, SAMPLES[:9]),
    (thin_films, [60.0, 95.0, 40.0]),
    (impedance, [0.1, 0.5, 0.2, 0.05]),
    (mel_cepstrum, SAMPLES),
    (deconvolution, [0.2, 0.5, 0.3]),
    (phase_retrieval, SAMPLES + SAMPLES[::-1]),
    (antenna, [0.1, 0.4, -0.3, 0.8]),
]
